"""A histogram of durations: millions of them in the memory of some thousand numbers."""

from __future__ import annotations

from collections import defaultdict
from math import exp, log

UNIT = 1e-6
"""Seconds below which all buckets have the same width: nothing in a pool is shorter."""

PLACES_PER_E = 100
"""A bucket is a hundredth wider than the one before, so a duration is right within half of that."""


class Histogram:
    """Counts durations by length, in logarithmic buckets."""

    def __init__(self) -> None:
        self.counts: defaultdict[int, int] = defaultdict(int)
        """By bucket."""
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    def record(self, seconds: float) -> None:
        self.counts[int(log(seconds / UNIT + 1.0) * PLACES_PER_E)] += 1
        self.count += 1
        self.total += seconds
        if seconds > self.longest:
            self.longest = seconds

    @property
    def mean(self) -> float:
        """The exact mean; 0 without durations."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Return the seconds that a `share` (0 to 1) of the durations took at most, within 0.5 %.

        Among few durations it is the one with the nearest rank, as in HdrHistogram, with which real
        pools are measured. 0 without durations.
        """
        wanted, seen = max(1, int(share * self.count + 0.5)), 0
        for place in sorted(self.counts):
            seen += self.counts[place]
            if seen >= wanted:
                return min(_middle(place), self.longest)
        return self.longest


def _middle(place: int) -> float:
    return UNIT * (exp((place + 0.5) / PLACES_PER_E) - 1.0) if place else 0.0
