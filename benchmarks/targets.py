"""Targets that compare two servers, for those that are installed."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.output import Target
from benchmarks.rounds import Round, Rounds, ratios
from benchmarks.tables import COST


def cost(
    rounds: Rounds,
    name: str,
    reference: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> list[Target]:
    """What a request costs one server, as a multiple of what it costs another."""
    sentence = f"{name} costs {{:.2f}} times {reference}"
    return ratio(rounds, name, reference, COST.of, sentence, at_most, at_least)


def ratio(
    rounds: Rounds,
    name: str,
    reference: str,
    of: Callable[[Round], float],
    sentence: str,
    at_most: float | None = None,
    at_least: float | None = None,
) -> list[Target]:
    """A figure of one server over that of another, turn by turn; nothing if one is left out."""
    if name not in rounds or reference not in rounds:
        return []
    times = ratios(rounds, name, reference, of)
    return [Target(sentence, times.median, times.margin, at_most, at_least)]
