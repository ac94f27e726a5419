"""The tables of the state machines: every entry, and every missing entry."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from prefork.state.lifecycle import (
    POOL_TRANSITIONS,
    PROMOTION_TRANSITIONS,
    ROLLOUT_TRANSITIONS,
    STOP_REASONS,
    WORKER_TRANSITIONS,
    LifecycleError,
    PoolEvent,
    PoolState,
    PromotionEvent,
    PromotionState,
    RolloutEvent,
    RolloutState,
    StopReason,
    WorkerEvent,
    WorkerState,
    advance,
)
from prefork.state.pool_lifecycle import PoolLifecycle

TABLES: list[tuple[Any, type[Enum], type[Enum]]] = [
    (WORKER_TRANSITIONS, WorkerState, WorkerEvent),
    (POOL_TRANSITIONS, PoolState, PoolEvent),
    (PROMOTION_TRANSITIONS, PromotionState, PromotionEvent),
    (ROLLOUT_TRANSITIONS, RolloutState, RolloutEvent),
]


@pytest.mark.parametrize(
    ("table", "state", "event"), [(table, *pair) for table, _, _ in TABLES for pair in table]
)
def test_each_entry_of_a_table_leads_to_its_state(table: Any, state: Enum, event: Enum) -> None:
    assert advance(table, state, event) is table[state, event]


@pytest.mark.parametrize(
    ("table", "state", "event"),
    [
        (table, *pair)
        for table, states, events in TABLES
        for pair in sorted(set(itertools.product(states, events)) - set(table), key=str)
    ],
)
def test_an_event_without_an_entry_raises_and_names_both(
    table: Any, state: Enum, event: Enum
) -> None:
    with pytest.raises(LifecycleError, match=f"{event.name}.*{state.name}"):
        advance(table, state, event)


def test_a_worker_may_exit_in_any_state() -> None:
    for state in set(WorkerState) - {WorkerState.GONE}:
        assert WORKER_TRANSITIONS[state, WorkerEvent.EXITED] is WorkerState.GONE


def test_no_event_applies_to_a_worker_that_is_gone() -> None:
    assert not [state for state, _ in WORKER_TRANSITIONS if state is WorkerState.GONE]


@pytest.mark.parametrize("target", list(WorkerState))
def test_every_worker_state_can_be_reached(target: WorkerState) -> None:
    reached = {WorkerState.STARTING}
    for _ in WorkerState:
        reached |= {to for (state, _), to in WORKER_TRANSITIONS.items() if state in reached}
    assert target in reached


# -- the pool --------------------------------------------------------------------------------------


def test_a_pool_may_boot_again_from_every_state() -> None:
    for state in PoolState:
        assert POOL_TRANSITIONS[state, PoolEvent.START] is PoolState.BOOTING


def test_a_pool_runs_only_once_a_worker_is_ready() -> None:
    ways = {pair for pair, to in POOL_TRANSITIONS.items() if to is PoolState.RUNNING}
    assert ways == {(PoolState.BOOTING, PoolEvent.READY)}


def test_only_a_pool_that_drains_or_stops_is_closed_when_it_is_empty() -> None:
    closing = {state for (state, event) in POOL_TRANSITIONS if event is PoolEvent.EMPTY}
    assert closing == {PoolState.DRAINING, PoolState.STOPPING}


# -- the pool's state and its reason to stop -------------------------------------------------------


def booted() -> PoolLifecycle:
    pool = PoolLifecycle()
    pool.start()
    return pool


def drained(reason: StopReason = StopReason.LOOP_ENDED) -> PoolLifecycle:
    pool = booted()
    pool.drain(reason, 100.0)
    return pool


def killed() -> PoolLifecycle:
    pool = booted()
    pool.kill()
    return pool


def test_every_state_has_its_reasons_and_a_pool_that_keeps_workers_has_none() -> None:
    assert set(STOP_REASONS) == set(PoolState)
    for state in (PoolState.NEW, PoolState.BOOTING, PoolState.RUNNING):
        assert STOP_REASONS[state] == {None}
    for state in (PoolState.DRAINING, PoolState.STOPPING, PoolState.CLOSED):
        assert None not in STOP_REASONS[state]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (state, reason)
        for state, reason in itertools.product(PoolState, [None, *StopReason])
        if reason not in STOP_REASONS[state]
    ],
)
def test_entering_a_state_with_an_invalid_reason_raises_and_changes_nothing(
    state: PoolState, reason: StopReason | None
) -> None:
    for (before, event), after in POOL_TRANSITIONS.items():
        if after is state:
            pool = PoolLifecycle()
            pool.state = before
            with pytest.raises(LifecycleError, match=state.name):
                pool._enter(event, reason)
            assert (pool.state, pool.stop_reason) == (before, None)


def test_a_pool_boots_until_its_first_worker_is_ready() -> None:
    pool = booted()
    seen = [(pool.state, pool.is_booting, pool.keeps_workers)]
    for _ in range(2):
        pool.note_ready()
        seen.append((pool.state, pool.is_booting, pool.keeps_workers))
    running = (PoolState.RUNNING, False, True)
    assert seen == [(PoolState.BOOTING, True, True), running, running]


def test_a_worker_that_is_ready_while_the_pool_drains_changes_nothing() -> None:
    pool = drained()
    pool.note_ready()
    assert pool.state is PoolState.DRAINING


def test_the_reason_to_stop_outlives_the_workers_and_a_new_loop_begins_without_one() -> None:
    for pool, reason in (
        (drained(), StopReason.LOOP_ENDED),
        (drained(StopReason.CLOSING), StopReason.CLOSING),
        (killed(), StopReason.FORCED),
    ):
        assert pool.note_empty()
        assert not pool.note_empty()
        assert (pool.state, pool.stop_reason) == (PoolState.CLOSED, reason)
        pool.start()
        assert (pool.state, pool.stop_reason) == (PoolState.BOOTING, None)


def test_a_reason_is_not_replaced_by_a_weaker_one() -> None:
    pool = drained()
    pool.drain(StopReason.CLOSING, 101.0)
    pool.drain(StopReason.LOOP_ENDED, 102.0)
    assert pool.stop_reason is StopReason.CLOSING
    pool.kill()
    pool.drain(StopReason.CLOSING, 103.0)
    assert (pool.state, pool.stop_reason) == (PoolState.STOPPING, StopReason.FORCED)
    pool.note_empty()
    pool.drain(StopReason.CLOSING, 104.0)
    assert (pool.state, pool.stop_reason) == (PoolState.CLOSED, StopReason.FORCED)


def test_a_forced_stop_by_a_signal_handler_shows_in_the_state_after_the_next_event() -> None:
    pool = drained()
    pool.note_forced()
    pool.drain(StopReason.CLOSING, 101.0)
    assert (pool.state, pool.stop_reason) == (PoolState.STOPPING, StopReason.FORCED)


@pytest.mark.parametrize(
    "event",
    [
        PoolLifecycle.note_ready,
        lambda pool: pool.drain(StopReason.LOOP_ENDED, 101.0),
        PoolLifecycle.kill,
        PoolLifecycle.note_unfinished_drain,
        PoolLifecycle.note_empty,
    ],
)
def test_no_event_but_the_next_start_undoes_a_forced_stop(
    event: Callable[[PoolLifecycle], object],
) -> None:
    """A worker that became ready while the pool was booting used to undo it."""
    pool = PoolLifecycle()
    pool.start()
    pool.note_forced()
    event(pool)
    assert (pool.is_forced, pool.keeps_workers) == (True, False)
    pool.start()
    assert (pool.is_forced, pool.keeps_workers) == (False, True)


def test_the_graceful_timeout_counts_from_the_first_request_to_drain() -> None:
    pool = drained()
    pool.drain(StopReason.CLOSING, 102.0)
    assert pool.graceful_time_left(3.0, 102.5) == 0.5
    assert pool.graceful_time_left(3.0, 110.0) == 0.0
    assert pool.graceful_time_left(None, 110.0) is None
    assert killed().graceful_time_left(3.0, 110.0) is None


def test_a_closed_pool_has_the_whole_graceful_timeout_for_later_drainers() -> None:
    pool = drained()
    pool.note_empty()
    pool.drain(StopReason.CLOSING, 200.0)
    assert pool.graceful_time_left(3.0, 201.0) == 2.0


def test_drainers_are_needed_when_the_server_closes_or_a_worker_dies_while_draining() -> None:
    closing, crashed = drained(StopReason.CLOSING), drained()
    crashed.note_unfinished_drain()
    assert [p.needs_drainers for p in (booted(), drained(), closing, crashed)] == [
        False,
        False,
        True,
        True,
    ]


def test_drainers_are_forked_once_unless_one_dies_and_never_after_a_forced_stop() -> None:
    pool = drained(StopReason.CLOSING)
    pool.note_empty()
    pool.drain_again()
    seen = [pool.needs_drainers]
    pool.note_unfinished_drain()
    seen.append(pool.needs_drainers)
    pool.kill()
    seen.append(pool.needs_drainers)
    assert seen == [False, True, False]
