"""When a prediction of the simulation is considered correct."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from benchmarks.harness.rounds import Trial
from benchmarks.measurements.simulator import PLAN, PredictedTrial, calmest, goals

MEASURED = Trial(
    requests=100, errors=0, resent=0, seconds=1.0, rate=100.0, cpu=1.0, load=0.1, others=0.0,
    p50=10_000.0, p99=50_000.0, p999=60_000.0,
)  # fmt: skip


def predicted(rate: float = 1.0, p99: float = 1.0, others: float = 0.0) -> PredictedTrial:
    """Return a trial whose predictions are multiples of the measured figures."""
    return PredictedTrial(
        replace(MEASURED, others=others), MEASURED.rate * rate, 0.010, MEASURED.p99 / 1e6 * p99
    )


def verdicts(name: str, *trials: PredictedTrial) -> list[str]:
    return [goal.verdict for goal in goals({name: list(trials)}, PLAN)]


def test_a_small_error_meets_the_goal_and_a_large_one_misses_it() -> None:
    assert verdicts("a handler, 80%", *[predicted(1.04, 0.85)] * 3) == ["met", "met"]
    assert verdicts("a handler, 80%", *[predicted(0.94, 1.25)] * 3) == ["missed", "missed"]
    assert verdicts("a handler, maximum", *[predicted(0.94, 9.0)] * 3) == ["missed"]


def test_errors_of_opposite_sign_in_two_trials_do_not_cancel() -> None:
    trials = [predicted(1.1, 1.4), predicted(), predicted(0.9, 0.6)]
    assert verdicts("a handler, 80%", *trials) == ["missed", "missed"]


def test_a_disturbed_figure_is_void_even_if_its_error_is_small() -> None:
    assert verdicts("a handler, 50%", *[predicted(others=0.2)] * 3) == ["void", "void"]


@pytest.mark.parametrize(
    ("measured", "kept"),
    [
        ([predicted(p99=3.0), predicted(p99=1.0)], 0),
        ([predicted(p99=1.0, others=0.3), predicted(p99=3.0)], 1),
        ([predicted(p99=3.0, others=0.2), predicted(p99=1.0, others=0.3)], 0),
    ],
)
def test_a_trial_is_repeated_because_of_other_work_and_never_because_of_its_prediction(
    measured: list[PredictedTrial], kept: int
) -> None:
    assert calmest(iter(measured).__next__, PLAN.quiet) is measured[kept]
