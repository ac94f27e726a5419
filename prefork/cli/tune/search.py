"""Which number of workers to try next: pure, so that a test sweeps a law without processes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from prefork.advice.noise import FLOOR
from prefork.advice.recommendation import FINE

UP = 1.5
"""The factor of the next step upwards."""
FOR_A_CURVE = 3
"""Numbers to try at least: two points are not a curve."""
AROUND_KNEE = 5
"""Numbers around the knee that are measured again and again."""


def next_trial(
    rates: Mapping[int, Sequence[float]], present: int, start: int, least: int, most: int
) -> int:
    """The number to measure next, given the rates of the undisturbed trials so far.

    An untried number while that can narrow down the knee. Then, of the numbers around the knee, the
    one with the fewest trials; of several the one nearest to the present size. So trials alternate
    up and down, and a temporary disturbance of the machine affects all alike.
    """
    known = {number: median(each) for number, each in rates.items()}
    if (wanted := next_number(known, start, least, most)) is not None:
        return wanted
    return fewest_trials(rates, around(known, least, most), present)


def fewest_trials(rates: Mapping[int, Sequence[float]], chosen: Sequence[int], present: int) -> int:
    return min(chosen, key=lambda number: (len(rates.get(number, ())), abs(number - present)))


def next_number(rates: Mapping[int, float], start: int, least: int, most: int) -> int | None:
    """The number to try after those with known rates; `None` when the knee is found.

    First `start`, the estimate of the knee. From there upwards until the rate stops growing; then
    between the largest number that is too small and the smallest that is large enough, and between
    this and the next larger one, until they are close.
    """
    start = min(max(start, least), most)
    tried = [number for number in rates if least <= number <= most]
    if start not in tried:
        return start
    top = max(tried)
    if top < most and (len(tried) < FOR_A_CURVE or gains(rates, tried)):
        return min(most, max(top + 1, math.ceil(top * UP)))
    if least not in tried:
        return least
    enough, short = knee(rates, tried)
    beyond = min((number for number in tried if number > enough), default=enough)
    for low, high in ((short, enough), (enough, beyond)):
        if low and high - low > 1 and high >= FINE * low:
            return round(math.sqrt(low * high))
    return None


def gains(rates: Mapping[int, float], tried: list[int]) -> bool:
    """Whether the largest number serves more than all smaller ones."""
    top = max(tried)
    below = [rates[number] for number in tried if number < top]
    return rates[top] * (1 - FLOOR) > max(below, default=0.0)


def knee(rates: Mapping[int, float], tried: list[int]) -> tuple[int, int]:
    """The smallest number that serves as much as any, and the largest below it, or 0."""
    best = max(rates[number] for number in tried)
    enough = min(number for number in tried if rates[number] >= (1 - FLOOR) * best)
    return enough, max((number for number in tried if number < enough), default=0)


def around(rates: Mapping[int, float], least: int, most: int) -> list[int]:
    """The tried numbers whose ratio to the knee is nearest to 1; sorted."""
    tried = [number for number in rates if least <= number <= most]
    enough, _ = knee(rates, tried)
    return sorted(sorted(tried, key=lambda number: abs(math.log(number / enough)))[:AROUND_KNEE])
