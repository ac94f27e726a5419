"""Decides whether two measured figures differ or the difference is noise.

Both `prefork bench` and `prefork tune` use it. A figure is the median of some trials, and its
standard error follows from how much these differ. Two figures differ if they are more than `SURE`
standard errors of the difference apart, and by at least `FLOOR`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeVar

FLOOR = 0.02
"""The part of a figure below which a difference is noise even if the trials agree: they share
conditions that change with a second run, such as the layout of memory."""
SURE = 1.5
"""Standard errors above which a difference is not an accident, in 13 of 14 cases."""
NORMAL = 1.858
"""The standard error of a median for a margin of 1, multiplied by the root of the number of trials:
the standard deviation of a normal distribution is 1.4826 margins, and the error of a median is the
root of pi / 2 times that of a mean."""
FEW = 3
"""The number of trials below which the margin between them is itself an accident."""
VAGUE = 0.2
"""The part of a figure that its margin may reach before the figure is called uncertain."""

T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """A figure estimated from some trials."""

    value: float
    """The median, which one disturbed trial does not move."""
    margin: float = 0.0
    """Half of the trials are nearer to the median than this."""
    trials: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        if not values:
            return cls(0.0, trials=0)
        middle = median(values)
        return cls(middle, median(abs(value - middle) for value in values), len(values))

    @property
    def error(self) -> float:
        """The standard error, if the trials are normally distributed.

        It is 0 for a single trial, which tells nothing about it (see `completed()`).
        """
        return NORMAL * self.margin / math.sqrt(self.trials) if self.trials else 0.0

    @property
    def at_least(self) -> float:
        """The value that is almost certainly reached."""
        return self.value - SURE * self.error

    @property
    def is_vague(self) -> bool:
        """Whether the trials differ so much that the median means little."""
        return self.margin > VAGUE * self.value


def completed(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return the same estimates, with a plausible margin for those of one or two trials.

    It is at least the usual margin of the others, relative to their values.
    """
    margins = [one.margin / one.value for one in estimates if one.trials > 1 and one.value]
    usual = median(margins) if margins else 0.0
    return [
        one if one.trials >= FEW else replace(one, margin=max(one.margin, usual * one.value))
        for one in estimates
    ]


def doubt(one: Estimate, other: Estimate) -> float:
    """Return the possible error of the difference between two figures."""
    return SURE * math.hypot(one.error, other.error)


def noise(one: Estimate, other: Estimate) -> float:
    """Return the largest difference between two figures that means nothing."""
    return max(FLOOR * max(one.value, other.value), doubt(one, other))


def is_clearly_above(one: Estimate, other: Estimate) -> bool:
    return one.value - other.value > noise(one, other)


def preferred(
    candidates: Sequence[T],
    estimate: Callable[[T], Estimate],
    cost: Callable[[T], Any],
    most_lost: float = math.inf,
) -> T:
    """Return the cheapest candidate that is as good as the best, that is, not clearly below it.

    The best is the one with the highest `at_least`, so that a single lucky trial does not win.
    `most_lost` limits the loss: it is the part of the best figure by which a cheaper candidate may
    be lower, including the doubt about it. So the less is known, the less is given up.
    """
    best = max(candidates, key=lambda one: estimate(one).at_least)
    top = estimate(best)

    def is_as_good(one: T) -> bool:
        found = estimate(one)
        lost = top.value - found.value
        if lost <= 0:
            return True
        return lost <= noise(found, top) and lost + doubt(found, top) <= most_lost * top.value

    return min(filter(is_as_good, candidates), key=cost)
