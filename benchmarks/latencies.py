"""What is said of latencies: p50, p99 and p99.9 from an HdrHistogram.

A client that waits for a slow answer asks nothing meanwhile, so that slow moments are seen by few
requests although they would have met many: coordinated omission. All latencies are corrected for
it. Where there is a pace, a request counts from the moment when it was due, which is exact. Where
clients go on when they are answered, each has a usual interval (the median latency and its pause),
and for a longer one the requests are added that it would have begun meanwhile: after each interval
one, which would have waited for what was left.
"""

from __future__ import annotations

from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

from benchmarks.load import Counts, Load

LONGEST = 10**11
"""Nanoseconds; above it a latency counts as so much."""
DIGITS = 3  # that are right


def quantiles(latencies: Counts, load: Load) -> tuple[float, float, float]:
    """p50, p99 and p99.9 in microseconds, corrected."""
    histogram = corrected(latencies, load)
    p50, p99, p999 = (histogram.get_value_at_percentile(p) for p in (50, 99, 99.9))
    return p50 / 1e3, p99 / 1e3, p999 / 1e3


def corrected(latencies: Counts, load: Load) -> HdrHistogram:
    """The histogram of latencies, in nanoseconds, with the requests that a steady client would have
    begun while it waited. (The library's own correction also adds the last part of a wait, one
    that is shorter than the interval and shorter than any request takes.)"""
    histogram = HdrHistogram(1, LONGEST, DIGITS)
    interval = 0 if load.paced else int(_median(latencies) + load.think * 1e9)
    for value, count in latencies:
        histogram.record_value(min(value, LONGEST), count)
        if interval:
            for left in range(value - interval, interval - 1, -interval):
                histogram.record_value(min(left, LONGEST), count)
    return histogram


def _median(latencies: Iterable[tuple[int, int]]) -> float:
    pairs = sorted(latencies)
    half, seen = sum(count for _, count in pairs) / 2, 0
    for value, count in pairs:
        seen += count
        if seen >= half:
            return value
    return 0.0
