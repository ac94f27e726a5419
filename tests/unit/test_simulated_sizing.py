"""The sizing policies in a simulated pool: steps, constant load, CPU, memory, changing load."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from prefork.policies.sizing import POLICIES
from prefork.settings import Limits
from prefork.simulation import Closed, Outcome, Poisson, Scenario, Service, simulate

WAITING = [Service(cpu=0.001, wait=0.2)]
COMPUTING = [Service(cpu=0.05, wait=0.0)]
MIXED = [Service(cpu=0.01, wait=0.01)]


def served(
    sizing: str, arrivals: Any, services: Any = WAITING, *, seconds: float = 60, **more: Any
) -> Outcome:
    """The outcome on two cores, with 1 to 8 workers (or `least`, `most`, `idle_timeout`)."""
    least = more.pop("least", 0 if sizing == "ondemand" else 1)
    limits = Limits(least, more.pop("most", 8), idle_timeout=more.pop("idle_timeout", 10.0))
    pool = {"cores": 2, "start_time": 0.01, **more}
    policy = POLICIES[sizing](limits)
    scenario = Scenario(
        arrivals=arrivals, services=services, workers=policy, seconds=seconds, **pool
    )
    return simulate(scenario)


def changes(outcome: Outcome, since: float, until: float) -> int:
    """The number of changes of the wanted size between two times."""
    wanted = [(d.at, d.wanted) for d in outcome.decisions]
    pairs = pairwise(wanted)
    return sum(since <= at < until and now != before for (_, before), (at, now) in pairs)


def size_at(outcome: Outcome, moment: float) -> int:
    return max((at, size) for at, size in outcome.sizes if at <= moment)[1]


def reasons(outcome: Outcome) -> str:
    return "\n".join(decision.reason for decision in outcome.decisions)


@pytest.mark.parametrize(("sizing", "seconds"), [("load", 1.5), ("ondemand", 0.1), ("spare", 4.0)])
def test_the_pool_follows_a_step_to_eight_clients_at_once_and_back_after_the_idle_timeout(
    sizing: str, seconds: float
) -> None:
    step = Closed([(0, 0), (10, 8), (30, 0)])
    outcome = served(sizing, step)
    assert size_at(outcome, 10 + seconds) == 8
    assert size_at(outcome, 30) == 8
    least = {"load": 1, "ondemand": 0, "spare": 4}[sizing]
    assert size_at(outcome, 30 + 10 + 1) == least
    assert outcome.answered == outcome.arrived


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("arrivals", "services", "most"),
    [
        (Closed(8), WAITING, 8),
        (Closed(5), WAITING, 8),
        (Closed(8, think=lambda random: random.expovariate(3)), WAITING, 20),
        (Poisson(25), WAITING, 40),
        (Poisson(100), MIXED, 20),
        (Poisson(20), COMPUTING, 20),
    ],
)
def test_under_constant_load_the_size_changes_at_most_twice_a_minute(
    arrivals: Any, services: Any, most: int, seed: int
) -> None:
    outcome = served("load", arrivals, services, seconds=80, most=most, seed=seed)
    assert changes(outcome, 20, 80) <= 2


def test_computing_handlers_get_one_worker_more_than_cores_and_the_log_says_why() -> None:
    outcome = served("load", Closed(8), COMPUTING)
    assert max(size for _, size in outcome.sizes) == 3
    assert reasons(outcome).count("the CPU is saturated") == 1


def test_with_memory_for_three_workers_there_are_three_and_the_log_says_why() -> None:
    outcome = served("load", Closed(8), memory=3_500, memory_of_worker=1_000)
    assert max(size for _, size in outcome.sizes) == 3
    assert reasons(outcome).count("no more workers fit into memory") == 1


def test_workers_are_kept_for_load_that_comes_in_waves() -> None:
    """Waves of seven seconds with an idle timeout of five: the policy keeps workers for longer."""
    waves = Closed([(7.0 * turn, 8 * (turn % 2)) for turn in range(40)])
    outcome = served("load", waves, seconds=280, idle_timeout=5.0)
    assert changes(outcome, 0, 60) > 0
    assert changes(outcome, 60, 280) == 0


@pytest.mark.parametrize("sizing", POLICIES)
def test_there_are_never_more_than_max_children_and_every_client_is_served(sizing: str) -> None:
    waves = Closed([(3.0 * turn, (0, 30, 2, 9)[turn % 4]) for turn in range(60)])
    outcome = served(sizing, waves, seconds=180, idle_timeout=1.0)
    assert max(size for _, size in outcome.sizes) == 8
    assert outcome.answered == outcome.arrived
    assert "max_children is reached" in reasons(outcome)
