"""When requests come: at times of their own (open), or when clients have been answered (closed)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, log
from random import Random
from typing import Protocol

Steps = Sequence[tuple[float, float]]
"""What a figure is from when on: pairs of seconds and the figure, in the order of time."""


class Open(Protocol):
    """Requests that come whatever becomes of the others."""

    def times(self, random: Random) -> Iterator[float]:
        """When each comes, in seconds and in order; may be without end."""


@dataclass(frozen=True)
class Poisson:
    """Requests that know nothing of each other: so many in a second, or a rate that changes."""

    rate: float | Steps

    def times(self, random: Random) -> Iterator[float]:
        draw = random.random
        for now, end, rate in spans(self.rate):
            while rate > 0:
                now -= log(1.0 - draw()) / rate
                if now >= end:
                    break  # the process has no memory: from `end` on it may begin anew
                yield now


@dataclass(frozen=True)
class Given:
    """Requests at known times, as they were recorded; in order."""

    moments: Sequence[float]

    def times(self, random: Random) -> Iterator[float]:
        return iter(self.moments)


@dataclass(frozen=True)
class Closed:
    """So many clients, or a number that changes; each asks, waits for the answer, pauses, and asks
    again. A client that comes asks at once; one that is too many leaves instead of asking."""

    clients: int | Steps
    think: float | Callable[[Random], float] = 0.0
    """Seconds of a pause, or what draws them."""

    def pause(self, random: Random) -> float:
        return self.think(random) if callable(self.think) else self.think


def spans(figure: float | Steps) -> list[tuple[float, float, float]]:
    """From when, until when, and how much."""
    steps = [(0.0, figure)] if isinstance(figure, (int, float)) else list(figure)
    ends = [start for start, _ in steps[1:]] + [inf]
    return [(start, end, value) for (start, value), end in zip(steps, ends, strict=False)]
