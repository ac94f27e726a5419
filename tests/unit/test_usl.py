"""The Universal Scalability Law with cores: its limits, and the fit to measured rates."""

import random

import pytest

from prefork.advice.recommendation import Point
from prefork.advice.usl import Law, fit
from tests.support.estimates import an_estimate, points

PLENTY = 1_000_000


@pytest.mark.parametrize("workers", [1, 2, 8, 64])
@pytest.mark.parametrize(("sigma", "kappa"), [(0.0, 0.0), (0.05, 0.0), (0.02, 0.0005)])
def test_with_plenty_of_cores_the_law_is_gunthers(workers: int, sigma: float, kappa: float) -> None:
    gunther = workers / (1 + sigma * (workers - 1) + kappa * workers * (workers - 1))
    law = Law(service=0.02, cpu=0.001, cores=PLENTY, sigma=sigma, kappa=kappa)
    assert 0.02 * law.rate(workers) == pytest.approx(gunther, rel=1e-3)


def test_without_losses_the_law_keeps_to_both_bounds_and_reaches_them() -> None:
    law = Law(service=0.02, cpu=0.0005, cores=2)
    assert law.rate(1) == pytest.approx(50)
    assert law.rate(1000) == pytest.approx(4000)
    assert 0.85 * 4000 < law.rate(80) < 4000


LAWS = [
    Law(0.010, 0.010, 2),
    Law(0.010, 0.010, 2, 0.05, 0.001),
    Law(0.020, 0.0003, 2),
    Law(0.020, 0.005, 2),
    Law(0.020, 0.0001, 64, 0.03, 0.0005),
]
NUMBERS = {0.010: [1, 2, 3, 4, 6, 8], 0.020: [1, 8, 16, 32, 64, 128, 256]}


@pytest.mark.parametrize("law", LAWS)
def test_a_fit_recovers_the_rates_from_disturbed_points(law: Law) -> None:
    chance = random.Random(4)
    swept = [
        Point(n, an_estimate(law.rate(n) * chance.gauss(1, 0.01), 0.01 * law.rate(n)))
        for n in NUMBERS[law.service]
    ]
    found = fit(swept, 1.02 * law.service, 0.8 * law.cpu, law.cores)
    assert found is not None
    assert found.r2 > 0.99
    for point in swept:
        assert found.law.rate(point.workers) == pytest.approx(law.rate(point.workers), rel=0.04)
    assert found.law.sigma == pytest.approx(law.sigma, abs=0.03)


def test_a_sharp_knee_is_not_taken_for_contention() -> None:
    swept = points({n: min(n / 0.02, 4000) for n in (1, 20, 40, 60, 80, 120, 160)})
    found = fit(swept, 0.02, 0.0005, 2)
    assert found is not None
    assert found.law.sigma < 0.001
    assert 2 * found.law.service / found.law.cpu == pytest.approx(80, rel=0.1)
    assert found.r2 > 0.98


def test_the_law_includes_clients_that_use_more_cpu_than_the_server() -> None:
    swept = points({1: 12667, 2: 16197, 3: 17163, 5: 16444})
    found = fit(swept, 29e-6, 80e-6, 2)  # an echo; the clients need 50 us of CPU in addition
    assert found is not None
    assert found.r2 > 0.99


def test_a_lock_is_contention_and_not_a_lack_of_cores() -> None:
    swept = points({n: min(n / 0.015, 195) for n in (1, 2, 3, 4, 6, 10, 100)})
    found = fit(swept, 0.015, 0.0004, 2)
    assert found is not None
    assert found.law.sigma == pytest.approx(1 / 3, abs=0.15)
    assert found.law.rate(100) == pytest.approx(195, rel=0.1)


def test_two_points_are_not_a_law() -> None:
    assert fit(points({1: 50, 2: 99}), 0.02, 0.001, 2) is None


def test_equal_rates_can_be_fitted() -> None:
    found = fit(points({1: 50, 2: 50, 3: 50}), 0.02, 0.02, 1)
    assert found is not None
    assert found.law.rate(2) == pytest.approx(50, rel=0.05)
