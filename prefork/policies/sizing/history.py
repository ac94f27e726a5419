"""Figures of earlier looks that sizing policies keep."""

from __future__ import annotations

import math
from collections import deque

GAP = 10.0
"""Seconds without a condition after which it begins a new episode."""


class Peak:
    """The highest number in a period that ends now."""

    def __init__(self) -> None:
        self._falling: deque[tuple[float, int]] = deque()

    def note(self, now: float, number: int) -> None:
        while self._falling and self._falling[-1][1] <= number:
            self._falling.pop()
        self._falling.append((now, number))

    def of_last(self, seconds: float, now: float) -> int:
        """Return the highest number in the last `seconds`, and forget older ones."""
        while len(self._falling) > 1 and self._falling[0][0] < now - seconds:
            self._falling.popleft()
        return self._falling[0][1]


class Average:
    """An average in which the last `seconds` count most (exponential smoothing)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at: float | None = None
        self._value = 0.0

    def note(self, now: float, number: float) -> float:
        """Add `number`, the value since the last call, and return the average."""
        weight = 1.0 if self._at is None else 1.0 - math.exp((self._at - now) / self._seconds)
        self._value += (number - self._value) * weight
        self._at = now
        return self._value


class Episodes:
    """Distinguishes a condition that begins from one that continues, possibly with short gaps."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def is_news(self, what: str, now: float) -> bool:
        """Note that a condition holds now; return whether a new episode begins."""
        before = self._last.get(what, -math.inf)
        self._last[what] = now
        return now - before > GAP
