"""A histogram of latencies: millions of durations in the memory of some thousand numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import exp, log
from typing import Any

UNIT = 1e-6
"""Seconds below which buckets have the same width; nothing in a pool takes less."""

BUCKETS_PER_E = 100
"""Buckets per factor e: each is 1 % wider than the one before, so durations are accurate to
0.5 %."""


class Histogram:
    """Counts durations, in seconds, by logarithmic buckets."""

    def __init__(self) -> None:
        self.counts: defaultdict[int, int] = defaultdict(int)
        """The number of durations in each bucket."""
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    @classmethod
    def of(cls, durations: Iterable[float]) -> Histogram:
        """Return the histogram of these durations."""
        made = cls()
        for seconds in durations:
            made.record(seconds)
        return made

    def record(self, seconds: float) -> None:
        self.counts[int(log(seconds / UNIT + 1.0) * BUCKETS_PER_E)] += 1
        self.count += 1
        self.total += seconds
        if seconds > self.longest:
            self.longest = seconds

    @property
    def mean(self) -> float:
        """The exact mean; 0 if there are no durations."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Return the seconds that a `share` (0 to 1) of the durations do not exceed, within 0.5 %.

        This is the duration with the nearest rank, as in HdrHistogram; 0 if there are no durations.
        """
        wanted, seen = max(1, int(share * self.count + 0.5)), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(_middle(bucket), self.longest)
        return self.longest

    def durations(self) -> Iterator[float]:
        """Yield every duration, within 0.5 %, in ascending order."""
        for bucket in sorted(self.counts):
            for _ in range(self.counts[bucket]):
                yield min(_middle(bucket), self.longest)

    def __add__(self, other: Histogram) -> Histogram:
        both = Histogram()
        for each in (self, other):
            for bucket, count in each.counts.items():
                both.counts[bucket] += count
        both.count = self.count + other.count
        both.total = self.total + other.total
        both.longest = max(self.longest, other.longest)
        return both

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def as_json(self) -> dict[str, Any]:
        return {"counts": sorted(self.counts.items()), "total": self.total, "longest": self.longest}

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> Histogram:
        """Return the histogram that `as_json()` has converted."""
        made = cls()
        made.counts.update(dict(written["counts"]))
        made.count = sum(made.counts.values())
        made.total, made.longest = written["total"], written["longest"]
        return made


def _middle(bucket: int) -> float:
    return UNIT * (exp((bucket + 0.5) / BUCKETS_PER_E) - 1.0) if bucket else 0.0
