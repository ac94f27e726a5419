"""The state diagrams of the documentation agree with the tables in the code."""

from enum import Enum, auto

import pytest

from prefork.state import lifecycle
from tools import diagrams


class Door(Enum):
    """Where a door is."""

    OPEN = auto()
    SHUT = auto()
    GONE = auto()


class Push(Enum):
    """What happens to a door."""

    PUSH = auto()
    KICK = auto()


DOOR: diagrams.Table = {
    (Door.OPEN, Push.PUSH): Door.SHUT,
    (Door.OPEN, Push.KICK): Door.SHUT,
    (Door.SHUT, Push.PUSH): Door.SHUT,
    (Door.SHUT, Push.KICK): Door.GONE,
}

MEANINGS = {"Door": {"OPEN": "one can pass"}, "Push": {}}


def test_the_page_agrees_with_the_tables() -> None:
    assert diagrams.main(["--check"]) == 0


def test_a_table_that_has_changed_makes_the_page_out_of_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = dict(lifecycle.WORKER_TRANSITIONS)
    table.popitem()
    monkeypatch.setattr(lifecycle, "WORKER_TRANSITIONS", table)
    assert diagrams.main(["--check"]) == 1
    assert "python tools/diagrams.py" in capsys.readouterr().out


def test_every_table_is_drawn() -> None:
    names = {name for name in vars(lifecycle) if name.endswith("_TRANSITIONS")}
    assert {f"{name}_TRANSITIONS" for name in diagrams.tables()} == names
    assert "WORKER_TRANSITIONS" in names


def test_a_diagram_has_one_arrow_for_all_events_between_two_states_and_no_loops() -> None:
    drawn = "\n".join(diagrams.section("DOOR", DOOR, MEANINGS))
    assert "    [*] --> OPEN\n" in drawn
    assert "    OPEN --> SHUT: PUSH, KICK\n" in drawn
    assert "    SHUT --> GONE: KICK\n    GONE --> [*]\n" in drawn
    assert "SHUT --> SHUT" not in drawn
    assert "| SHUT | PUSH |" in drawn
    assert "| OPEN | one can pass |" in drawn


def test_what_a_state_means_is_the_comment_beside_it() -> None:
    source = "class Door(Enum):\n    OPEN = auto()  # one can pass\n    SHUT = auto()\n"
    assert diagrams.comments(source) == {"Door": {"OPEN": "one can pass", "SHUT": ""}}
