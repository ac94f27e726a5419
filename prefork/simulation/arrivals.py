"""Arrivals of requests: at given or random times (open), or after answers (closed)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, log
from random import Random
from typing import Protocol

Steps = Sequence[tuple[float, float]]
"""A value that changes: pairs of a time and the value from then on, in order."""


class Open(Protocol):
    """Requests that arrive independently of the answers."""

    def times(self, random: Random) -> Iterator[float]:
        """Yield the times in seconds at which requests arrive, in order; may be infinite."""


@dataclass(frozen=True)
class Poisson:
    """Independent requests (a Poisson process), at `rate` per second, which may change."""

    rate: float | Steps

    def times(self, random: Random) -> Iterator[float]:
        draw = random.random
        for now, end, rate in spans(self.rate):
            while rate > 0:
                now -= log(1.0 - draw()) / rate
                if now >= end:
                    break  # a Poisson process has no memory, so it can start again at `end`
                yield now


@dataclass(frozen=True)
class Given:
    """Requests at known times, for example recorded ones, in order."""

    moments: Sequence[float]

    def times(self, random: Random) -> Iterator[float]:
        return iter(self.moments)


@dataclass(frozen=True)
class Closed:
    """Clients that each send a request, wait for the answer, pause, and repeat.

    Their number may change: a new client sends its first request at once, and a surplus one leaves
    before its next request.
    """

    clients: int | Steps
    think: float | Callable[[Random], float] = 0.0
    """Seconds of each pause, or a function that draws them."""

    def pause(self, random: Random) -> float:
        return self.think(random) if callable(self.think) else self.think


def spans(figure: float | Steps) -> list[tuple[float, float, float]]:
    """Return the periods of a changing value: start, end, value."""
    steps = [(0.0, figure)] if isinstance(figure, (int, float)) else list(figure)
    ends = [start for start, _ in steps[1:]] + [inf]
    return [(start, end, value) for (start, value), end in zip(steps, ends, strict=False)]
