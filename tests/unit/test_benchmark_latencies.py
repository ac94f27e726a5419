"""The correction of latencies for coordinated omission."""

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from benchmarks.harness.latencies import Counts, Latencies
from benchmarks.harness.load_generator import LoadReport, Workload, corrected

STALLED: Counts = [(1_000_000, 990), (100_000_000, 10)]
"""990 requests of 1 ms and 10 of 100 ms."""
FIVE_MS_MORE: Counts = [(5_000_000, 3)]
ROUNDED = 0.011
"""The relative error of a count, where latencies have three digits."""


def report(counts: Counts) -> LoadReport:
    return LoadReport(
        requests=0, errors=0, resent=0, seconds=1, rate=0, cpu=0, latencies=Latencies(counts)
    )


def test_requests_that_a_waiting_client_did_not_send_are_added() -> None:
    # For each wait of 100 ms: the requests that would have begun after 1 ms, 2 ms, ... 99 ms.
    whole = corrected(report(STALLED), Workload())
    assert whole.count == pytest.approx(990 + 10 * 100, rel=ROUNDED)


def test_fewer_are_added_for_a_client_that_pauses() -> None:
    whole = corrected(report(STALLED), Workload(think=0.009))
    assert whole.count == pytest.approx(990 + 10 * 10, rel=ROUNDED)


def test_with_a_pace_no_request_is_added() -> None:
    assert corrected(report(STALLED), Workload(every=0.001)).count == 1000


def test_quantiles_are_microseconds() -> None:
    latencies = Latencies(STALLED)
    assert latencies.quantile(0.5) == pytest.approx(1000, rel=0.001)
    assert latencies.quantile(0.99) == pytest.approx(1000, rel=0.001)
    assert latencies.quantile(0.999) == pytest.approx(100_000, rel=0.001)
    assert latencies.longest == pytest.approx(100_000, rel=0.001)


def test_without_answers_all_latencies_are_zero() -> None:
    assert Latencies().quantile(0.5) == 0
    assert Latencies().corrected().count == 0
    assert Latencies().longest == 0


def test_a_latency_of_zero_is_not_corrected() -> None:
    assert Latencies([(0, 3)]).corrected().count == 3


def test_seconds_and_the_latencies_of_another_series_can_be_recorded() -> None:
    latencies = Latencies.of([0.001, 0.003])
    latencies.add(Latencies(FIVE_MS_MORE))
    assert latencies.count == 5
    assert latencies.quantile(0.5) == pytest.approx(5000, rel=0.001)
