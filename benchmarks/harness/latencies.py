"""Latencies, kept in an HdrHistogram and corrected for coordinated omission.

A client that waits for a slow answer sends nothing meanwhile. Few requests therefore see a slow
moment that many would have met: coordinated omission. With a pace, a request counts from the moment
when it was due, which is exact. Without one, each client has a usual interval, the median latency
plus its pause. For each longer interval the histogram gets the requests that the client would have
begun meanwhile: one after each interval, with the rest of the wait as its latency.
"""

from __future__ import annotations

from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

LONGEST = 10**11
"""Nanoseconds. A longer latency is recorded as this one."""
SIGNIFICANT_DIGITS = 3

Counts = Iterable[tuple[int, int]]
"""Pairs of a latency in nanoseconds and the number of requests that took it."""


class Latencies:
    """The latencies of a series of requests. Quantiles are in microseconds, 0 without a request."""

    def __init__(self, counts: Counts = ()) -> None:
        self._histogram = HdrHistogram(1, LONGEST, SIGNIFICANT_DIGITS)
        for nanoseconds, count in counts:
            self._record(nanoseconds, count)

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latencies:
        """Return the histogram of latencies in seconds."""
        return cls((int(one * 1e9), 1) for one in seconds)

    @property
    def count(self) -> int:
        """How many requests were recorded."""
        return int(self._histogram.get_total_count())

    @property
    def longest(self) -> float:
        """The longest latency, in microseconds."""
        return float(self._histogram.get_max_value()) / 1e3 if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Return the latency that `share` of the requests, from 0 to 1, did not exceed."""
        return float(self._histogram.get_value_at_percentile(100 * share)) / 1e3

    def add(self, other: Latencies) -> None:
        """Record the requests of another series too."""
        self._histogram.add(other._histogram)

    def corrected(self, pause: float = 0.0) -> Latencies:
        """Return the histogram with the requests that waiting clients left out.

        `pause` is a client's usual pause after an answer, in seconds. The correction of
        HdrHistogram itself also adds the last part of a wait, which is shorter than any request
        takes.
        """
        full = Latencies()
        interval = int(1e3 * self.quantile(0.5) + pause * 1e9)
        for item in self._histogram.get_recorded_iterator():
            value, count = item.value_iterated_to, item.count_added_in_this_iter_step
            full._record(value, count)
            if interval:
                for rest in range(value - interval, interval - 1, -interval):
                    full._record(rest, count)
        return full

    def _record(self, nanoseconds: int, count: int) -> None:
        self._histogram.record_value(min(nanoseconds, LONGEST), count)
