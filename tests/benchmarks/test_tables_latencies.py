"""The correction of latencies for coordinated omission."""

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from benchmarks.latencies import corrected, quantiles
from benchmarks.load import Counts, Load

STALLED: Counts = [(1_000_000, 990), (100_000_000, 10)]
"""990 requests of 1 ms and 10 of 100 ms."""


def test_requests_that_a_waiting_client_left_out_are_added() -> None:
    # For each wait of 100 ms those that it would have begun after 1 ms, 2 ms, ... 99 ms.
    assert corrected(STALLED, Load()).get_total_count() == 990 + 10 * 100


def test_a_client_that_pauses_leaves_out_fewer() -> None:
    assert corrected(STALLED, Load(think=0.009)).get_total_count() == 990 + 10 * 10


def test_under_a_pace_nothing_is_left_out() -> None:
    assert corrected(STALLED, Load(every=0.001)).get_total_count() == 1000


def test_quantiles_are_microseconds() -> None:
    p50, p99, p999 = quantiles(STALLED, Load(every=0.001))
    assert (p50, p99) == pytest.approx((1000, 1000), rel=0.001)
    assert p999 == pytest.approx(100_000, rel=0.001)


def test_nothing_answered_has_no_latency() -> None:
    assert quantiles([], Load()) == (0, 0, 0)


def test_a_latency_of_nothing_is_recorded_once() -> None:
    assert corrected([(0, 3)], Load()).get_total_count() == 3
