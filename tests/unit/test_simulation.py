"""The simulated pool, request by request: queues, idle order, threads, full backlogs, sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefork.policies.sizing.base import Decision, LoadSample, Sizing
from prefork.settings import Limits
from prefork.simulation import (
    Closed,
    Given,
    Histogram,
    Outcome,
    Poisson,
    Scenario,
    Service,
    simulate,
)
from prefork.simulation.scenario import ScenarioError


def played(arrivals: Any, services: Sequence[Service], **more: Any) -> Outcome:
    known: dict[str, Any] = {"workers": 1, "cores": 1, "seconds": 100.0, **more}
    return simulate(Scenario(arrivals=arrivals, services=services, **known))


def test_one_request_takes_its_service_and_the_overhead() -> None:
    outcome = played(Given([1.0]), [Service(0.010, 0.020)], overhead=0.001, client_cpu=0.002)
    assert outcome.latencies.longest == pytest.approx(0.033)
    assert outcome.waits.longest == pytest.approx(0.002)
    assert outcome.cpu_share == pytest.approx(0.013 / 100)
    assert outcome.busy_share == pytest.approx(0.031 / 100)


def test_two_requests_take_twice_as_long_on_one_core_and_as_long_as_one_on_two() -> None:
    for cores, seconds in ((1, 0.020), (2, 0.010), (1.5, 0.010 * 2 / 1.5)):
        outcome = played(Given([1.0, 1.0]), [Service(0.010, 0.0)], workers=2, cores=cores)
        assert outcome.latencies.longest == pytest.approx(seconds)


def test_short_slices_share_a_core_and_with_long_ones_the_first_process_keeps_it() -> None:
    for slice_, mean in ((0.00001, 0.020), (0.1, (0.015 + 0.020) / 2)):
        outcome = played(Given([0.0, 0.010]), [Service(0.015, 0.0)], workers=2, slice=slice_)
        assert outcome.latencies.mean == pytest.approx(mean, abs=0.0001)
        assert outcome.latencies.longest == pytest.approx(0.020, abs=0.0001)


def test_threads_of_a_worker_share_one_core_and_wait_together() -> None:
    outcome = played(Given([0.0, 0.0]), [Service(0.004, 0.100)], cores=8, threads=2)
    # 2 + 2 ms before, 2 + 2 ms after: the second one waits for the first, then not again.
    assert outcome.latencies.longest == pytest.approx(0.106)
    assert outcome.busy_share == pytest.approx(0.106 / 100)


def test_threads_that_compute_for_long_take_turns() -> None:
    outcome = played(Given([0.0, 0.0]), [Service(0.050, 0.0)], cores=8, threads=0)
    assert outcome.latencies.longest == pytest.approx(0.100)
    assert outcome.latencies.mean == pytest.approx(0.0975)  # not 0.075


def test_lifo_uses_one_worker_and_fifo_all_of_them_equally() -> None:
    one_by_one = Given([0.1 * n for n in range(720)])
    lifo = played(one_by_one, [Service(0.010, 0.0)], workers=4, idle_order="lifo")
    fifo = played(one_by_one, [Service(0.010, 0.0)], workers=4, idle_order="fifo")
    assert sorted(lifo.served) == [0, 0, 0, 720]
    assert fifo.served == [180, 180, 180, 180]


def test_a_client_that_finds_the_backlog_full_retries_and_then_gives_up() -> None:
    crowd = Given([0.0] * 5)
    patient = played(crowd, [Service(0.0, 1.5)], backlog=0)
    assert (patient.answered, patient.lost, patient.largest_backlog) == (5, 0, 1)
    # One is served, one waits. The others try each second: at 2 s, 4 s and 5 s one succeeds.
    assert patient.turned_away == 3 + 3 + 2 + 2 + 1
    assert patient.latencies.longest == pytest.approx(7.5)
    hasty = played(crowd, [Service(0.0, 1.5)], backlog=0, retries=())
    assert (hasty.answered, hasty.turned_away, hasty.lost) == (2, 3, 3)


def test_the_number_of_clients_follows_the_schedule() -> None:
    outcome = played(
        Closed(((0.0, 1), (10.0, 3), (20.0, 0)), think=0.5), [Service(0.0, 0.5)], workers=3
    )
    assert outcome.arrived == outcome.answered == 10 + 3 * 10 + 0
    assert outcome.largest_backlog == 0


class Scripted(Sizing):
    """A policy that wants the given numbers, one at each look, and records its load samples."""

    interval = 1.0

    def __init__(self, *wanted: int) -> None:
        self.left = list(wanted)
        self.seen: list[LoadSample] = []
        super().__init__(Limits(least=min(wanted), most=max(wanted)))

    def _first(self) -> int:
        return self.left.pop(0)

    def _decide(self, load: LoadSample) -> Decision:
        self.seen.append(load)
        return Decision(self.left.pop(0), "as told") if self.left else Decision(self.wanted, "")


def test_a_policy_gets_load_samples_and_its_decisions_are_carried_out() -> None:
    policy = Scripted(1, 3, 3, 2)
    outcome = played(
        Closed(2),
        [Service(0.1, 0.0)],
        workers=policy,
        seconds=5.0,
        start_time=0.25,
        memory=1000,
        memory_of_worker=300,
    )
    first, second, third, fourth = policy.seen[:4]
    assert first == pytest.approx((1.0, 1, 0, 1, 1.0, 1, 0.0, 2, 1))
    # On one core, one worker starts at once: at 1.25 s and at 1.5 s. Two of three become busy.
    assert second.persistent == 3
    assert (second.busy, second.waiting, second.memory_room) == (2, 0, 0)
    assert second.busy_share == pytest.approx((1.0 + 0.75) / (1.0 + 0.75 + 0.5))
    assert third.busy_share == pytest.approx(2 / 3)
    assert fourth.persistent == 2
    assert outcome.sizes == [(0.0, 1), (1.0, 2), (1.25, 3), (3.0, 2)]
    assert [(each.at, each.wanted) for each in outcome.decisions] == [(1.0, 3), (2.0, 3), (3.0, 2)]


def test_only_an_idle_worker_is_retired() -> None:
    outcome = played(Given([0.0, 0.0]), [Service(0.0, 10.0)], workers=Scripted(2, 1), seconds=20.0)
    assert outcome.answered == 2
    (_, (at, size)) = outcome.sizes
    assert size == 1
    assert at == pytest.approx(10.0, abs=0.051)


def test_a_worker_that_is_no_longer_wanted_when_it_is_ready_serves_nothing() -> None:
    """It used to be retired and then join the queue of idle workers."""
    outcome = played(
        Given([0.0, 3.0]),
        [Service(0.0, 8.0)],
        workers=Scripted(1, 2, 1),
        seconds=20.0,
        start_time=1.5,
    )
    assert outcome.served == [2, 0]
    assert outcome.sizes == [(0.0, 1), (1.0, 2), (2.5, 1)]
    assert outcome.latencies.longest == pytest.approx(13.0)


def test_the_simulation_ends_even_if_a_policy_leaves_clients_waiting() -> None:
    outcome = played(Given([0.0, 5.0]), [Service(0.0, 1.0)], workers=Scripted(1, 1, 0), seconds=9.0)
    assert (outcome.answered, outcome.unanswered) == (1, 1)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"cores": 0}, "cores must be > 0"),
        ({"workers": 0}, "workers must be >= 1"),
        ({"threads": -1}, "threads must be >= 1"),
        ({"warm_up": 100.0}, "warm_up must be >= 0"),
        ({"services": []}, "services must not be empty"),
        ({"services": [Service(0.1, -1e-9)]}, "times of a service must be >= 0"),
        ({"overhead": -0.1}, "overhead, client_cpu"),
        ({"slice": 0.0}, "slice must be > 0"),
        ({"arrivals": Closed(1, think=-1.0)}, "pauses of clients must be >= 0"),
    ],
)
def test_an_invalid_scenario_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    known: dict[str, Any] = {"arrivals": Given([]), "services": [Service(0.0, 1.0)], **wrong}
    with pytest.raises(ScenarioError, match=sentence):
        played(**known)


@pytest.mark.parametrize(
    "known",
    [
        {"services": [Service(0.0, 0.0)]},
        {"services": [Service(0.0, 1.0)], "backlog": 0, "retries": ()},
    ],
)
def test_clients_that_repeat_requests_without_any_delay_are_an_error(
    known: dict[str, Any],
) -> None:
    with pytest.raises(ScenarioError, match="without limit at the same simulated time"):
        played(Closed(3), **known)


def test_without_arrivals_nothing_is_served() -> None:
    for arrivals in (Poisson(0), Poisson([]), Poisson([(0, 0), (5, 0)]), Closed(0), Given([])):
        outcome = played(arrivals, [Service(0.1, 0.1)])
        assert (outcome.arrived, outcome.throughput, outcome.busy_share) == (0, 0, 0)


SECONDS = st.floats(0.0, 0.5)
SCENARIOS = st.fixed_dictionaries(
    {
        "arrivals": st.one_of(
            st.builds(Poisson, st.floats(1.0, 40.0)),
            st.builds(Closed, st.integers(1, 12), SECONDS.map(lambda think: think + 0.05)),
            st.lists(st.floats(0.0, 9.0), max_size=50).map(lambda times: Given(sorted(times))),
        ),
        "services": st.lists(st.builds(Service, SECONDS, SECONDS), min_size=1, max_size=5),
        "workers": st.one_of(
            st.integers(1, 5),
            st.lists(st.integers(1, 5), min_size=1).map(lambda wanted: Scripted(*wanted)),
        ),
        "cores": st.sampled_from([0.5, 1, 2, 3]),
        "threads": st.integers(0, 3),
        "idle_order": st.sampled_from(["fifo", "lifo"]),
        "backlog": st.integers(0, 8),
        "overhead": st.sampled_from([0.0, 0.001]),
        "client_cpu": st.sampled_from([0.0, 0.001]),
        "start_time": st.sampled_from([0.0, 0.05, 1.5]),
        "seconds": st.just(10.0),
    }
)


@settings(max_examples=60, deadline=None)
@given(SCENARIOS)
def test_every_request_is_accounted_for(known: dict[str, Any]) -> None:
    services, most = known["services"], len(known["services"])
    outcome = simulate(Scenario(**known))
    assert outcome.arrived == outcome.answered + outcome.lost
    assert outcome.unanswered == 0
    assert sum(outcome.served) == outcome.answered == outcome.latencies.count
    assert outcome.latencies.total >= outcome.waits.total - 1e-9
    assert outcome.largest_backlog <= known["backlog"] + 1
    assert -1e-9 <= outcome.busy_share <= 1 + 1e-9
    assert -1e-9 <= outcome.cpu_share <= 1 + 1e-9
    if outcome.answered and most == 1:
        assert outcome.latencies.mean >= sum(services[0]) - 1e-9


@settings(max_examples=20, deadline=None)
@given(SCENARIOS, st.integers(0, 3))
def test_a_scenario_always_has_the_same_outcome(known: dict[str, Any], seed: int) -> None:
    if isinstance(known["workers"], Sizing):
        return  # a policy object cannot be used twice
    once, again = (simulate(Scenario(**known, seed=seed)) for _ in range(2))
    assert once.latencies.counts == again.latencies.counts
    assert once.served == again.served


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e9])
def test_a_quantile_is_right_within_half_a_percent(unit: float) -> None:
    durations = Histogram()
    for number in range(1, 161):
        durations.record(number * unit)
    for share, rank in ((0.1, 16), (0.5, 80), (0.99, 158), (0.999, 160), (1.0, 160)):
        assert durations.quantile(share) == pytest.approx(rank * unit, rel=0.006)
    assert Histogram().quantile(0.5) == 0


def test_a_latency_of_weeks_is_recorded() -> None:
    assert played(Given([0.0]), [Service(0.0, 3e6)]).latencies.longest == pytest.approx(3e6)


def test_each_of_very_many_workers_takes_one_request() -> None:
    """The 65,537th and later workers used to be taken for the first ones."""
    many = (1 << 16) + 2
    outcome = played(Given([0.0] * many), [Service(0.0, 1.0)], workers=many)
    assert set(outcome.served) == {1}


def test_looks_have_the_interval_that_the_policy_wants() -> None:
    policy = Scripted(1)
    played(Given([]), [Service(0.0, 1.0)], workers=policy, seconds=10.0)
    assert Counter(int(load.now) for load in policy.seen) == dict.fromkeys(range(1, 11), 1)
