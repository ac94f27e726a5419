"""The simulation compared with queueing theory.

A run always has the same outcome, so each comparison here either always passes or always fails. The
difference from the theory depends on the number of requests.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from prefork.simulation import Closed, Outcome, Poisson, Scenario, Service, Services, simulate
from tests.support import theory

MEAN = 0.010
REQUESTS = 40_000

SHORT, LONG, LONG_SHARE = 0.002, 0.082, 0.1
VARIANCE = (1 - LONG_SHARE) * SHORT**2 + LONG_SHARE * LONG**2 - MEAN**2


def lumpy(random: Random) -> float:
    """Draw times, a few of them very long; their mean is MEAN, their variance VARIANCE."""
    return LONG if random.random() < LONG_SHARE else SHORT


def exponential(random: Random) -> float:
    return random.expovariate(1 / MEAN)


def always(random: Random) -> float:
    return MEAN


def on_cpu(draw: Callable[[Random], float]) -> Services:
    return lambda random: Service(draw(random), 0.0)


def waiting(draw: Callable[[Random], float]) -> Services:
    """Services during which workers do not affect each other."""
    return lambda random: Service(0.0, draw(random))


def run(
    rate: float, services: Services, workers: int, cores: int, slice_: float | None = None
) -> Outcome:
    return simulate(
        Scenario(
            arrivals=Poisson(rate),
            services=services,
            workers=workers,
            cores=cores,
            slice=slice_,
            seconds=REQUESTS / rate,
        )
    )


@pytest.mark.parametrize("kind", [on_cpu, waiting])
@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.8), (4, 0.8), (16, 0.9)])
def test_waits_for_exponential_services_follow_erlang(
    kind: Callable[[Callable[[Random], float]], Services], servers: int, load: float
) -> None:
    rate = servers * load / MEAN
    outcome = run(rate, kind(exponential), servers, servers)
    assert outcome.waits.mean == pytest.approx(theory.wait_mmc(servers, rate, MEAN), rel=0.15)
    assert outcome.busy_share == pytest.approx(load, rel=0.02)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_waits_for_equal_services_of_one_worker_are_half_as_long(load: float) -> None:
    outcome = run(load / MEAN, on_cpu(always), 1, 1)
    assert outcome.waits.mean == pytest.approx(theory.wait_md1(load / MEAN, MEAN), rel=0.07)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (2, 0.8), (8, 0.9)])
def test_waits_for_very_different_services_follow_allen_and_cunneen(
    servers: int, load: float
) -> None:
    rate = servers * load / MEAN
    outcome = run(rate, waiting(lumpy), servers, 1)
    expected = theory.wait_mgc(servers, rate, MEAN, VARIANCE / MEAN**2)
    assert outcome.waits.mean == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("draw", [always, exponential, lumpy])
def test_on_a_shared_core_only_the_mean_of_the_services_matters(
    draw: Callable[[Random], float],
) -> None:
    load = 0.7
    outcome = run(load / MEAN, on_cpu(draw), workers=1000, cores=1, slice_=0.001)
    assert outcome.latencies.mean == pytest.approx(MEAN / (1 - load), rel=0.06)
    assert outcome.cpu_share == pytest.approx(load, rel=0.02)


@pytest.mark.parametrize("clients", [1, 3, 10])
def test_clients_that_pause_follow_the_machine_repair_model(clients: int) -> None:
    think = 0.050
    outcome = simulate(
        Scenario(
            arrivals=Closed(clients, lambda random: random.expovariate(1 / think)),
            services=waiting(exponential),
            workers=1,
            cores=1,
            seconds=200,
        )
    )
    expected = theory.throughput_of_repairs(clients, think, MEAN)
    assert outcome.throughput == pytest.approx(expected, rel=0.01)


def test_with_enough_workers_no_request_waits() -> None:
    """Little's law: the rate times the latency is the number of busy workers."""
    outcome = run(100.0, waiting(always), workers=16, cores=1)
    assert outcome.latencies.mean == pytest.approx(MEAN)
    assert outcome.busy_share * 16 == pytest.approx(outcome.throughput * MEAN, rel=0.001)
