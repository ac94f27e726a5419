"""Measurements of single requests, and what the simulation predicts from them."""

import pytest

from prefork.advice.forecast import Forecast, Sample
from prefork.advice.queueing import Queue
from prefork.advice.recommendation import Resources
from prefork.state.histogram import Histogram


def test_a_sample_excludes_time_outside_of_the_worker() -> None:
    sample = Sample.of(Histogram.of([0.011, 0.013]), service=0.010, cpu=0.004, outside=0.001)
    assert [sum(service) for service in sample.services] == pytest.approx([0.009, 0.011], rel=0.01)
    assert [service.cpu for service in sample.services] == pytest.approx([0.0036, 0.0044], rel=0.01)
    assert sample.spread == pytest.approx(0.1, rel=0.1)


def test_no_request_of_a_sample_takes_zero_time() -> None:
    sample = Sample.of(Histogram.of([0.0001, 0.1]), service=0.005, cpu=0.001, outside=0.0)
    assert all(service.cpu > 0 for service in sample.services)


def test_more_cpu_leaves_the_wait_as_it_is() -> None:
    sample = Sample.of(Histogram.of([0.010]), 0.010, 0.004, 0.001)
    (service,) = sample.with_cpu(1.5).services
    assert (service.cpu, service.wait) == pytest.approx((0.006, 0.006), rel=0.01)


def test_the_forecast_for_requests_that_only_wait_agrees_with_queueing_theory() -> None:
    sample = Sample.of(Histogram.of([0.100]), 0.100, 0.0001, outside=0.002)  # all alike: M/D/c
    found = Forecast(sample, Resources(8), rate=40.0)(5)
    theory = Queue(40.0, 0.100, 5, spread=0.0)
    assert found.rate == pytest.approx(40, rel=0.03)
    assert found.p99 == pytest.approx(0.102 + theory.wait(0.99), rel=0.2)
    assert found.queue == pytest.approx(40 * theory.wait(0.999), abs=4)


def test_too_few_workers_fall_behind() -> None:
    sample = Sample.of(Histogram.of([0.100]), 0.100, 0.0001, 0.0)
    assert Forecast(sample, Resources(8), rate=40.0)(3).rate == pytest.approx(30, rel=0.05)
