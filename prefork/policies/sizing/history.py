"""What policies remember of earlier looks."""

from __future__ import annotations

import math
from collections import deque

GAP = 10.0
"""Seconds without it after which what is said once in an episode is news again."""


class Peak:
    """The highest number of the last so many seconds."""

    def __init__(self) -> None:
        self._falling: deque[tuple[float, int]] = deque()

    def note(self, now: float, number: int) -> None:
        while self._falling and self._falling[-1][1] <= number:
            self._falling.pop()
        self._falling.append((now, number))

    def of_last(self, seconds: float, now: float) -> int:
        """The highest that was noted since then; what was noted before is forgotten."""
        while len(self._falling) > 1 and self._falling[0][0] < now - seconds:
            self._falling.popleft()
        return self._falling[0][1]


class Average:
    """A number over time, in which the last so many seconds count most (exponential smoothing)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at: float | None = None
        self._value = 0.0

    def note(self, now: float, number: float) -> float:
        """The average, `number` having been the one since the last time."""
        weight = 1.0 if self._at is None else 1.0 - math.exp((self._at - now) / self._seconds)
        self._value += (number - self._value) * weight
        self._at = now
        return self._value


class Episodes:
    """Tells what begins from what goes on, perhaps with gaps."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def is_news(self, what: str, now: float) -> bool:
        """It is so now; whether this is the first time in a while."""
        before = self._last.get(what, -math.inf)
        self._last[what] = now
        return now - before > GAP
