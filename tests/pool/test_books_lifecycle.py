"""The tables of the two state machines: every entry, and that nothing else is possible."""

from __future__ import annotations

import itertools

import pytest

from prefork.state.lifecycle import (
    POOL_TRANSITIONS,
    WORKER_TRANSITIONS,
    LifecycleError,
    PoolEvent,
    PoolState,
    WorkerEvent,
    WorkerState,
    advance,
)


@pytest.mark.parametrize(("state", "event"), list(WORKER_TRANSITIONS))
def test_each_entry_of_the_workers_table_leads_where_it_says(
    state: WorkerState, event: WorkerEvent
) -> None:
    assert advance(WORKER_TRANSITIONS, state, event) is WORKER_TRANSITIONS[state, event]


@pytest.mark.parametrize(
    ("state", "event"),
    sorted(set(itertools.product(WorkerState, WorkerEvent)) - set(WORKER_TRANSITIONS), key=str),
)
def test_an_event_without_entry_raises_and_names_both(
    state: WorkerState, event: WorkerEvent
) -> None:
    with pytest.raises(LifecycleError, match=f"{event.name}.*{state.name}"):
        advance(WORKER_TRANSITIONS, state, event)


def test_death_needs_no_permission() -> None:
    for state in set(WorkerState) - {WorkerState.GONE}:
        assert WORKER_TRANSITIONS[state, WorkerEvent.EXITED] is WorkerState.GONE


def test_nothing_happens_to_the_dead() -> None:
    assert not [state for state, _ in WORKER_TRANSITIONS if state is WorkerState.GONE]


def test_a_pool_may_run_again_from_every_state() -> None:
    for state in PoolState:
        assert POOL_TRANSITIONS[state, PoolEvent.START] is PoolState.RUNNING


def test_only_a_pool_that_ends_can_be_closed_by_being_empty() -> None:
    closing = {state for (state, event) in POOL_TRANSITIONS if event is PoolEvent.EMPTY}
    assert closing == {PoolState.DRAINING, PoolState.STOPPING, PoolState.CLOSED}


@pytest.mark.parametrize("target", list(WorkerState))
def test_every_worker_state_can_be_reached(target: WorkerState) -> None:
    reached = {WorkerState.STARTING}
    for _ in WorkerState:
        reached |= {to for (state, _), to in WORKER_TRANSITIONS.items() if state in reached}
    assert target in reached
