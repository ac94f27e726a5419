"""Two queueing models, compared with known values."""

import math

import pytest

from prefork.advice.queueing import Queue, erlang_c, repairman


@pytest.mark.parametrize(
    ("load", "servers", "probability"),
    [
        (0.0, 1, 0.0),
        (0.5, 1, 0.5),  # M/M/1: the share of time in which the server is busy
        (1.0, 2, 1 / 3),
        (2.0, 3, 4 / 9),
        (8.0, 10, 0.4092),
        (1.0, 1, 1.0),
        (7.0, 2, 1.0),
    ],
)
def test_the_probability_of_a_wait_follows_erlangs_formula(
    load: float, servers: int, probability: float
) -> None:
    assert erlang_c(load, servers) == pytest.approx(probability, abs=1e-4)


def test_erlangs_formula_holds_for_many_servers() -> None:
    load, servers = 950.0, 1000
    assert 0 < erlang_c(load, servers) < erlang_c(load, servers - 10) < 1


def mean_of(queue: Queue) -> float:
    """The mean of an exponential tail: the quantile beyond which 1 / e of the distribution is."""
    return queue.waits * queue.wait(1 - queue.waits / math.e)


@pytest.mark.parametrize(
    ("spread", "mean_wait"),
    [(1.0, 0.1), (0.0, 0.05), (2.0, 0.25)],  # M/M/1, M/D/1, M/G/1 by Pollaczek and Khinchine
)
def test_the_mean_wait_of_one_server_is_exact(spread: float, mean_wait: float) -> None:
    assert mean_of(Queue(5.0, 0.1, 1, spread)) == pytest.approx(mean_wait)


def test_waits_of_several_exponential_servers_are_exact() -> None:
    queue = Queue(rate=20.0, service=0.1, servers=3)  # 2 erlangs
    assert mean_of(queue) == pytest.approx(4 / 9 / 10)
    for share in (0.5, 0.9, 0.99):
        # P(wait > t) = C exp(-(c / S - rate) t)
        expected = max(0.0, math.log(queue.waits / (1 - share)) / 10)
        assert queue.wait(share) == pytest.approx(expected)


def test_the_wait_is_infinite_when_servers_cannot_keep_up() -> None:
    queue = Queue(30.0, 0.1, 3)
    assert queue.wait(0.5) == math.inf


@pytest.mark.parametrize(
    ("workers", "cores", "cpu", "wait", "rate"),
    [
        (1, 1, 1.0, 1.0, 0.5),
        (2, 1, 1.0, 1.0, 0.8),  # textbook: the states have 1, 2 and 2 fifths of the time
        (3, 2, 0.5, 0.0, 4.0),
        (1, 2, 0.5, 0.0, 2.0),
        (7, 2, 0.0, 0.5, 14.0),
        (2000, 2, 0.001, 0.1, 2000.0),
        (10, 64, 0.001, 0.1, 10 / 0.101),
    ],
)
def test_the_rate_of_workers_that_alternately_wait_and_compute(
    workers: int, cores: int, cpu: float, wait: float, rate: float
) -> None:
    assert repairman(workers, cores, cpu, wait) == pytest.approx(rate)


@pytest.mark.parametrize("workers", range(1, 300, 13))
def test_the_rate_is_below_both_bounds(workers: int) -> None:
    rate = repairman(workers, 2, 0.001, 0.05)
    assert 0.85 * min(workers / 0.051, 2000) < rate <= min(workers / 0.051, 2000) * (1 + 1e-9)
