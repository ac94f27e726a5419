"""When a simulation has foretold what came, and when it has not."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from benchmarks.rounds import Round
from benchmarks.simulator import PLAN, Cell, calmest, targets

CAME = Round(
    requests=100, errors=0, resent=0, seconds=1.0, rate=100.0, cpu=1.0, load=0.1, others=0.0,
    p50=10_000.0, p99=50_000.0, p999=60_000.0,
)  # fmt: skip


def foretold(rate: float = 1.0, p99: float = 1.0, others: float = 0.0) -> Cell:
    """So many times as much as came, while others took so many cores."""
    return Cell(replace(CAME, others=others), CAME.rate * rate, 0.010, CAME.p99 / 1e6 * p99)


def verdicts(name: str, *cells: Cell) -> list[str]:
    return [target.verdict for target in targets({name: list(cells)}, PLAN)]


def test_what_is_a_little_off_is_foretold_and_what_is_far_off_is_not() -> None:
    assert verdicts("a handler, 80%", *[foretold(1.04, 0.85)] * 3) == ["PASS", "PASS"]
    assert verdicts("a handler, 80%", *[foretold(0.94, 1.25)] * 3) == ["short", "short"]
    assert verdicts("a handler, most", *[foretold(0.94, 9.0)] * 3) == ["short"]


def test_too_much_in_one_turn_does_not_make_up_for_too_little_in_another() -> None:
    cells = [foretold(1.1, 1.4), foretold(), foretold(0.9, 0.6)]
    assert verdicts("a handler, 80%", *cells) == ["short", "short"]


def test_a_figure_that_others_have_disturbed_says_nothing_however_near_it_is() -> None:
    assert verdicts("a handler, 50%", *[foretold(others=0.2)] * 3) == ["void", "void"]


@pytest.mark.parametrize(
    ("measured", "kept"),
    [
        ([foretold(p99=3.0), foretold(p99=1.0)], 0),
        ([foretold(p99=1.0, others=0.3), foretold(p99=3.0)], 1),
        ([foretold(p99=3.0, others=0.2), foretold(p99=1.0, others=0.3)], 0),
    ],
)
def test_a_cell_is_measured_again_because_of_others_and_never_because_of_the_prediction(
    measured: list[Cell], kept: int
) -> None:
    assert calmest(iter(measured).__next__, PLAN.quiet) is measured[kept]
