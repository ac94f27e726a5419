"""Chooses the number of workers to try next.

Nothing here starts a process, so tests can run whole sweeps against a formula.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from prefork.advice.noise import FLOOR
from prefork.advice.recommendation import FINE

UP = 1.5
"""The factor by which the next larger number exceeds the largest one tried so far."""
FOR_A_CURVE = 3
"""Minimum number of numbers of workers to try: two points do not determine a curve."""
AROUND_KNEE = 5
"""Maximum number of numbers of workers around the knee that are measured repeatedly."""


def next_trial(
    rates: Mapping[int, Sequence[float]], present: int, start: int, least: int, most: int
) -> int:
    """Return the number to measure next, given the rates of the undisturbed trials so far.

    As long as an untried number can narrow down the knee, return that number. Afterwards, return
    the number around the knee with the fewest trials, or in a tie the one nearest to the present
    size. The size therefore moves up and down, and a temporary disturbance of the machine affects
    all numbers alike.
    """
    known = {number: median(each) for number, each in rates.items()}
    if (wanted := next_number(known, start, least, most)) is not None:
        return wanted
    return fewest_trials(rates, around(known, least, most), present)


def fewest_trials(rates: Mapping[int, Sequence[float]], chosen: Sequence[int], present: int) -> int:
    """Return the number with the fewest trials; in a tie, the one nearest to `present`."""
    return min(chosen, key=lambda number: (len(rates.get(number, ())), abs(number - present)))


def next_number(rates: Mapping[int, float], start: int, least: int, most: int) -> int | None:
    """Return the next untried number, given the known rates; `None` if the knee has been found.

    The search begins at `start`, the estimate of the knee, and moves upwards until the rate stops
    growing. It then narrows down two intervals until their ends are close: from the largest number
    that is too small to the smallest that is large enough, and from there to the next larger one.
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
    """Return whether the largest number that was tried serves more than all smaller ones."""
    top = max(tried)
    below = [rates[number] for number in tried if number < top]
    return rates[top] * (1 - FLOOR) > max(below, default=0.0)


def knee(rates: Mapping[int, float], tried: list[int]) -> tuple[int, int]:
    """Return the smallest number that serves as much as any, and the next smaller one, or 0."""
    best = max(rates[number] for number in tried)
    enough = min(number for number in tried if rates[number] >= (1 - FLOOR) * best)
    return enough, max((number for number in tried if number < enough), default=0)


def around(rates: Mapping[int, float], least: int, most: int) -> list[int]:
    """Return the numbers already tried whose ratio to the knee is nearest to 1, sorted."""
    tried = [number for number in rates if least <= number <= most]
    enough, _ = knee(rates, tried)
    return sorted(sorted(tried, key=lambda number: abs(math.log(number / enough)))[:AROUND_KNEE])
