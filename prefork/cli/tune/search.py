"""Which number of workers to try next: pure, so that a sweep is a table in the tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from prefork.advice.recommendation import FINE, NOISE

UP = 1.5
"""Times as many workers in the next step upwards."""
FOR_A_CURVE = 3
"""Numbers that are tried at least: two points are no curve."""
IN_TURNS = 5
"""Numbers that are measured again and again, around the knee."""


def next_turn(
    rates: Mapping[int, Sequence[float]], present: int, start: int, least: int, most: int
) -> int:
    """The number to measure next, by the rates of the turns so far that were not disturbed.

    One that was not tried yet, while that can bring the knee nearer. Then, of those around it, one
    that has had fewest turns; of these the one nearest to what stands: so the turns go there and
    back, and what disturbs the machine for a while disturbs all alike.
    """
    known = {number: median(each) for number, each in rates.items()}
    if (wanted := next_number(known, start, least, most)) is not None:
        return wanted
    return fewest_turns(rates, around(known, least, most), present)


def fewest_turns(rates: Mapping[int, Sequence[float]], chosen: Sequence[int], present: int) -> int:
    return min(chosen, key=lambda number: (len(rates.get(number, ())), abs(number - present)))


def next_number(rates: Mapping[int, float], start: int, least: int, most: int) -> int | None:
    """The number to try after those whose rates are known; `None` when the knee is found.

    First `start`, where the knee should be. From there on up, until nothing is gained; then between
    the largest number that is too small and the smallest that is not, and between this and the next
    that is larger, until they are near.
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
    return rates[top] * (1 - NOISE) > max(below, default=0.0)


def knee(rates: Mapping[int, float], tried: list[int]) -> tuple[int, int]:
    """The smallest number that serves as much as any, and the largest below it, or 0."""
    best = max(rates[number] for number in tried)
    enough = min(number for number in tried if rates[number] >= (1 - NOISE) * best)
    return enough, max((number for number in tried if number < enough), default=0)


def around(rates: Mapping[int, float], least: int, most: int) -> list[int]:
    """Those numbers that are nearest to the knee by their ratio to it; sorted."""
    tried = [number for number in rates if least <= number <= most]
    enough, _ = knee(rates, tried)
    return sorted(sorted(tried, key=lambda number: abs(math.log(number / enough)))[:IN_TURNS])
