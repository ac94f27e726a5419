"""What is considered a difference between two figures, and which candidate is preferred."""

import math
import random
from statistics import fmean, stdev

import pytest

from prefork.advice.noise import Estimate, completed, is_clearly_above, preferred
from tests.support.estimates import an_estimate


def test_an_estimate_is_a_median_that_one_disturbed_trial_hardly_changes() -> None:
    assert Estimate.of([1.0, 5.0]) == Estimate(3.0, 2.0, 2)
    assert Estimate.of([1.0, 50.0, 2.0]) == Estimate(2.0, 1.0, 3)
    assert Estimate.of([10.0, 11.0, 0.0, 12.0, 11.0, 10.0]) == Estimate(10.5, 0.5, 6)
    assert Estimate.of([]) == Estimate(0.0, 0.0, 0)


@pytest.mark.parametrize("trials", [5, 15, 40])
def test_the_more_trials_the_smaller_the_error_of_a_median(trials: int) -> None:
    chance = random.Random(1)
    medians = [Estimate.of([chance.gauss(100, 5) for _ in range(trials)]) for _ in range(400)]
    error = stdev(one.value for one in medians)
    assert fmean(one.error for one in medians) == pytest.approx(error, rel=0.2)


def test_few_trials_get_at_least_the_usual_margin() -> None:
    known = [Estimate(100.0, 2.0, 5), Estimate(200.0, 8.0, 3)]
    once, twice = Estimate(50.0), Estimate(10.0, 0.1, 2)
    found = completed([*known, once, twice])
    assert found[:2] == known
    assert found[2] == Estimate(50.0, 50 * 0.02)  # the median of 2, 4 and 1 %
    assert found[3] == Estimate(10.0, 10 * 0.02, 2)
    assert completed([once]) == [once]


@pytest.mark.parametrize(
    ("one", "other", "above"),
    [
        (an_estimate(103), an_estimate(100), True),
        (an_estimate(101), an_estimate(100), False),  # below the floor
        (an_estimate(108, 3), an_estimate(100, 3), True),
        (an_estimate(106, 3), an_estimate(100, 3), False),  # below 1.5 errors of the difference
        (an_estimate(100), an_estimate(120), False),
    ],
)
def test_a_difference_is_clear_beyond_the_floor_and_the_errors(
    one: Estimate, other: Estimate, above: bool
) -> None:
    assert is_clearly_above(one, other) == above


@pytest.mark.parametrize(
    ("rates", "most_lost", "taken"),
    [
        ([an_estimate(100), an_estimate(101)], math.inf, 0),
        ([an_estimate(100), an_estimate(103)], math.inf, 1),
        ([an_estimate(100, 8), an_estimate(110, 8)], math.inf, 0),
        ([an_estimate(100, 8), an_estimate(110, 8)], 0.05, 1),  # the loss may be more than 5 %
        ([an_estimate(100, 1), an_estimate(101, 1)], 0.05, 0),
        ([an_estimate(100, 1), an_estimate(104, 9)], math.inf, 0),  # the best may be chance
    ],
)
def test_the_cheapest_candidate_as_good_as_the_best_is_preferred(
    rates: list[Estimate], most_lost: float, taken: int
) -> None:
    places = range(len(rates))
    assert preferred(places, lambda n: rates[n], lambda n: n, most_lost) == taken
