"""What counts as a difference between two measured figures: the one notion of noise.

`prefork bench` and `prefork tune` both decide with it. A figure is the median of some trials, and
its standard error follows from how much they differ. Two figures differ if they are further apart
than `SURE` standard errors of the difference, and in any case by `FLOOR`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeVar

FLOOR = 0.02
"""The part of a figure below which a difference is noise even if the trials agree: they share what
a second run would not have in common, such as where memory lies."""
SURE = 1.5
"""Standard errors of a difference beyond which it is no accident (13 in 14 times)."""
NORMAL = 1.858
"""The standard error of a median, times the root of the number of trials, for a margin of 1: the
standard deviation of a normal distribution is 1.4826 margins, and the error of a median is larger
than that of a mean by the root of pi / 2."""
FEW = 3
"""With fewer trials, how much they differ is itself an accident."""
VAGUE = 0.2
"""The part of a figure that its margin may have before the figure is called uncertain."""

T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """A figure as some trials gave it."""

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
        """The standard error, as if the trials were normally distributed; 0 for a single one,
        which says nothing about it (see `completed()`)."""
        return NORMAL * self.margin / math.sqrt(self.trials) if self.trials else 0.0

    @property
    def at_least(self) -> float:
        """The value that is almost certainly reached."""
        return self.value - SURE * self.error

    @property
    def is_vague(self) -> bool:
        """Whether the trials differ so much that the median says little."""
        return self.margin > VAGUE * self.value


def completed(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The same estimates; those of one or two trials with at least the usual margin of the others,
    relative to their value."""
    margins = [one.margin / one.value for one in estimates if one.trials > 1 and one.value]
    usual = median(margins) if margins else 0.0
    return [
        one if one.trials >= FEW else replace(one, margin=max(one.margin, usual * one.value))
        for one in estimates
    ]


def doubt(one: Estimate, other: Estimate) -> float:
    """By how much the difference between two figures may be wrong."""
    return SURE * math.hypot(one.error, other.error)


def noise(one: Estimate, other: Estimate) -> float:
    """The largest difference between two figures that says nothing."""
    return max(FLOOR * max(one.value, other.value), doubt(one, other))


def is_clearly_above(one: Estimate, other: Estimate) -> bool:
    return one.value - other.value > noise(one, other)


def preferred(
    candidates: Sequence[T],
    estimate: Callable[[T], Estimate],
    cost: Callable[[T], Any],
    most_lost: float = math.inf,
) -> T:
    """The cheapest of the candidates that are as good as the best: not clearly below it.

    The best is the one of which most is certain, so that a single lucky trial does not win.
    `most_lost` bounds the price of this: the part of the best figure that a cheaper candidate may
    lack, with the doubt about it included. The less is known, the less is then given up.
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
