"""Latencies, kept in an HdrHistogram and corrected for coordinated omission.

A client that waits for a slow answer sends nothing in the meantime. Few requests therefore meet a
slow moment that many would have met: coordinated omission. If the requests have a pace, the latency
is counted from the moment when the request was due, which is exact. If they have none, each client
has a usual interval: the median latency plus its pause. For each longer interval, the requests that
the client would have begun during the wait are added to the histogram: one after each usual
interval, with the rest of the wait as its latency.
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
    """The latencies of a series of requests. Quantiles are in microseconds; 0 if there are none."""

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
        """The number of recorded requests."""
        return int(self._histogram.get_total_count())

    @property
    def longest(self) -> float:
        """The longest latency, in microseconds."""
        return float(self._histogram.get_max_value()) / 1e3 if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Return the latency that `share` of the requests, from 0 to 1, did not exceed."""
        return float(self._histogram.get_value_at_percentile(100 * share)) / 1e3

    def add(self, other: Latencies) -> None:
        """Add the requests of another series."""
        self._histogram.add(other._histogram)

    def corrected(self, pause: float = 0.0) -> Latencies:
        """Return the histogram with the requests added that waiting clients did not send.

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
