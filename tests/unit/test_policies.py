"""Restarts and sizing: pure decisions with the clock as an argument."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefork.policies.idle_order import waits_before_requeue
from prefork.policies.restarts import LONGEST, Restarts, back_off, is_unproven
from prefork.policies.sizing.steps import to_retire, to_start
from prefork.settings import IdleOrder
from prefork.workers.protocol.scoreboard import Reading, State


def reading(state: State, since: float) -> Reading:
    return Reading(state, since, "", "", 0, 0.0, 0)


@pytest.mark.parametrize(
    ("deaths", "seconds"),
    [(0, 0.0), (1, 1.5), (2, 2.25), (3, 3.375), (9, LONGEST), (1000, LONGEST)],
)
def test_back_off_grows_by_half_up_to_thirty_seconds(deaths: int, seconds: float) -> None:
    assert back_off(deaths) == seconds


@pytest.mark.parametrize(
    ("was_ready", "requests", "age", "unproven"),
    [
        (False, 0, 99.0, True),
        (True, 0, 0.01, True),
        (True, 1, 0.01, False),
        (True, 0, 1.0, False),
    ],
)
def test_a_worker_is_unproven_until_it_is_ready_and_has_served_or_lasted(
    was_ready: bool, requests: int, age: float, unproven: bool
) -> None:
    assert is_unproven(was_ready, requests, age) is unproven


def test_a_crash_loop_makes_at_most_eight_forks_in_ten_seconds_and_fifteen_in_a_minute() -> None:
    restarts, now, forks = Restarts(), 0.0, []
    while now < 60.0:
        if not restarts.wait_left(now):
            forks.append(now)
            restarts.note_early_death(now + 0.01)
        now += 0.01
    assert len([at for at in forks if at < 10]) <= 8
    assert len(forks) <= 15


def test_after_a_worker_has_proved_itself_the_back_off_starts_again() -> None:
    restarts = Restarts()
    for _ in range(5):
        restarts.note_early_death(0.0)
    restarts.note_proved()
    restarts.note_early_death(100.0)
    assert restarts.wait_left(100.0) == back_off(1)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 64))
def test_never_more_unready_workers_than_cores(missing: int, starting: int, cores: int) -> None:
    started = to_start(missing, starting, cores)
    assert 0 <= started <= missing
    assert starting + started <= max(cores, starting)


@given(
    st.lists(
        st.tuples(st.sampled_from([State.IDLE, State.BUSY, State.STARTING]), st.floats(0, 1e6)),
        max_size=20,
    ),
    st.integers(0, 25),
)
def test_only_idle_workers_are_retired_by_default(
    workers: list[tuple[State, float]], surplus: int
) -> None:
    readings = [(slot, reading(*worker)) for slot, worker in enumerate(workers)]
    chosen = to_retire(readings, surplus)
    idle = [slot for slot, (state, _) in enumerate(workers) if state is State.IDLE]
    assert set(chosen) <= set(idle)
    assert len(chosen) == min(surplus, len(idle))


def test_the_workers_idle_longest_leave_first_and_busy_ones_after_them() -> None:
    readings = [
        (0, reading(State.BUSY, 1.0)),
        (1, reading(State.IDLE, 5.0)),
        (2, reading(State.IDLE, 3.0)),
        (3, reading(State.BUSY, 9.0)),
    ]
    assert to_retire(readings, 1) == [2]
    assert to_retire(readings, 4) == [2, 1]
    assert to_retire(readings, 4, busy_too=3) == [2, 1, 3]
    assert to_retire(readings, 4, busy_too=4) == [2, 1, 3, 0]


@pytest.mark.parametrize(
    ("order", "workers", "turns"),
    [("fifo", 1, 8), ("fifo", 4, 8), ("fifo", 32, 8), ("fifo", 256, 64), ("lifo", 256, math.inf)],
)
def test_with_fifo_a_worker_requeues_after_some_waits_and_with_lifo_never(
    order: IdleOrder, workers: int, turns: float
) -> None:
    assert waits_before_requeue(order, workers) == turns
