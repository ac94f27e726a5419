"""Rooms import only rooms on lower floors, without circles; `tools/rooms.py` reads the imports."""

from pathlib import Path

import pytest

from tests.guard.checkout import compare
from tools import rooms

UPWARD: dict[str, str] = {}
"""The imports that still go the wrong way. This list may only become shorter."""

CIRCLES: dict[str, str] = {}
"""The modules that still import each other. This list may only become shorter."""

SHORT_NAMES = ("socketserver", "workers")
"""Folders that are imported as `prefork.socketserver` and `prefork.workers`."""


@pytest.fixture(scope="module")
def house() -> rooms.House:
    return rooms.House()


def make_tree(root: Path, **files: str) -> rooms.House:
    """Write a checkout with a few modules; `prefork__cli__serve` is `prefork/cli/serve.py`."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return rooms.House(root)


def badly_named(house: rooms.House) -> list[str]:
    """Return the imports in the package that are relative, or that work only at the root."""
    return [
        str(statement)
        for module in house.modules.values()
        if rooms.is_within(module.name, "prefork")
        for statement in module.imports
        if statement.name.startswith(".")
        or any(rooms.is_within(statement.name, name) for name in SHORT_NAMES)
    ]


def test_imports_go_down(house: rooms.House) -> None:
    assert not compare([f"{each.path}: {each.name}" for each in house.upward()], UPWARD)


def test_modules_do_not_import_each_other_in_a_circle(house: rooms.House) -> None:
    assert not compare([", ".join(circle) for circle in house.circles()], CIRCLES)


def test_every_room_has_a_floor(house: rooms.House) -> None:
    assert not house.without_floor()


def test_there_are_few_rooms(house: rooms.House) -> None:
    found = house.rooms()
    assert {"socketserver", "workers", "prefork/master", "prefork/cli"} <= found.keys()
    assert len(found) <= rooms.MOST_ROOMS


def test_modules_are_imported_by_their_full_names(house: rooms.House) -> None:
    """`import workers` works only at the root; elsewhere `socketserver` is another module."""
    assert not badly_named(house)


def test_the_tool_prints_every_room_and_fails_while_a_rule_is_broken(
    house: rooms.House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rooms.main() == (1 if UPWARD or CIRCLES else 0)
    printed = capsys.readouterr().out
    assert all(room in printed for room in house.rooms())


def test_an_upward_import_is_found_anywhere_in_a_module(tmp_path: Path) -> None:
    house = make_tree(
        tmp_path,
        workers__loop="def late():\n    from prefork.master import children\n",
        prefork__master__children="import prefork.workers.loop\n",
    )
    assert [str(each) for each in house.upward()] == ["workers/loop.py:2: prefork.master.children"]


def test_rooms_of_one_floor_do_not_import_each_other(tmp_path: Path) -> None:
    house = make_tree(
        tmp_path,
        prefork__policies__a="from prefork.linux.b import c\n",
        prefork__linux__b="c = 1\n",
    )
    assert [each.name for each in house.upward()] == ["prefork.linux.b.c"]


def test_a_new_room_needs_a_floor(tmp_path: Path) -> None:
    assert make_tree(tmp_path, prefork__attic__box="").without_floor() == ["prefork/attic"]


def test_a_circle_is_found_and_an_import_of_the_own_package_does_not_count(tmp_path: Path) -> None:
    house = make_tree(
        tmp_path,
        prefork__cli__a="from prefork.cli import b\n",
        prefork__cli__b="import prefork.cli.c\n",
        prefork__cli__c="if True:\n    from prefork.cli.a import x\n",
        socketserver____init__="from prefork.socketserver.loop import run\n",
        socketserver__loop="import prefork.socketserver as api\n",
    )
    assert house.circles() == [["prefork.cli.a", "prefork.cli.b", "prefork.cli.c"]]


def test_an_import_for_the_type_checker_counts_for_rooms_and_not_for_circles(
    tmp_path: Path,
) -> None:
    house = make_tree(
        tmp_path,
        workers__a=(
            "if TYPE_CHECKING:\n    from prefork.workers.b import B\n    import prefork.cli.c\n"
        ),
        workers__b="import prefork.workers.a\n",
        prefork__cli__c="",
    )
    assert not house.circles()
    assert [str(each) for each in house.upward()] == ["workers/a.py:3: prefork.cli.c"]


def test_a_relative_import_and_a_short_name_are_found(tmp_path: Path) -> None:
    house = make_tree(
        tmp_path, workers__loop="from ..a import b\nimport workers.main\nimport workers_of_hers\n"
    )
    assert badly_named(house) == ["workers/loop.py:1: ..a.b", "workers/loop.py:2: workers.main"]
