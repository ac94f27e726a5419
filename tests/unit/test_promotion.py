"""When a mold is forked from a worker, and which workers are replaced: pure decisions."""

from __future__ import annotations

import pytest

from prefork.policies.promotion import BACK_OFF, LOOK_INTERVAL, PromotionBackoff, to_promote
from prefork.policies.rollout import to_replace
from prefork.state.lifecycle import (
    PROMOTION_TRANSITIONS,
    ROLLOUT_TRANSITIONS,
    PromotionEvent,
    PromotionState,
    RolloutEvent,
    RolloutState,
)
from prefork.workers.protocol.scoreboard import Reading, State


def reading(state: State, served: int = 0, since: float = 0.0) -> Reading:
    return Reading(state, since, "", "", served, 0.0, 0)


IDLE, BUSY = State.IDLE, State.BUSY


@pytest.mark.parametrize(
    ("workers", "chosen"),
    [
        ([], None),
        ([(IDLE, 99), (BUSY, 99)], None),
        ([(IDLE, 100)], 0),
        ([(IDLE, 99), (IDLE, 100)], 1),
        ([(IDLE, 120), (IDLE, 150), (IDLE, 130)], 1),
        # A busy worker would read the order later.
        ([(BUSY, 500), (IDLE, 100)], 1),
        ([(BUSY, 500), (BUSY, 600), (IDLE, 99)], 1),
        ([(IDLE, 100), (IDLE, 100)], 0),
    ],
)
def test_the_warmest_idle_worker_is_promoted(
    workers: list[tuple[State, int]], chosen: int | None
) -> None:
    readings = [(slot, reading(state, served)) for slot, (state, served) in enumerate(workers)]
    assert to_promote(readings, 100) == chosen


@pytest.mark.parametrize(
    ("outdated", "missing", "max_unavailable", "chosen"),
    [
        ([], 0, 1, []),
        ([IDLE, IDLE, IDLE], 0, 1, [0]),
        ([IDLE, IDLE, IDLE], 0, 2, [0, 1]),
        ([IDLE, IDLE, IDLE], 1, 1, []),
        ([IDLE, IDLE, IDLE], 1, 2, [0]),
        ([IDLE, IDLE, IDLE], 5, 2, []),
        ([IDLE], 0, 9, [0]),
        # Idle workers first; a busy one finishes its request.
        ([BUSY, IDLE], 0, 1, [1]),
        ([BUSY, IDLE], 0, 2, [1, 0]),
        ([BUSY], 0, 1, [0]),
        # More workers than wanted: none is missing.
        ([IDLE, IDLE], -1, 1, [0, 1]),
    ],
)
def test_no_more_workers_are_out_than_max_unavailable(
    outdated: list[State], missing: int, max_unavailable: int, chosen: list[int]
) -> None:
    readings = [(slot, reading(state, since=slot)) for slot, state in enumerate(outdated)]
    assert to_replace(readings, missing, max_unavailable) == chosen


def test_a_pool_looks_for_a_warm_worker_now_and_then_and_pauses_after_an_attempt() -> None:
    attempts = PromotionBackoff()
    assert attempts.look(100.0)
    assert not attempts.look(100.0 + LOOK_INTERVAL / 2)
    assert attempts.next_timeout(100.0) == LOOK_INTERVAL
    assert attempts.look(100.0 + LOOK_INTERVAL)
    attempts.note_end(200.0)
    assert attempts.next_timeout(201.0) == BACK_OFF - 1.0
    assert not attempts.look(200.0 + BACK_OFF - 0.1)
    assert attempts.look(200.0 + BACK_OFF)
    assert attempts.next_timeout(999.0) == 0.0


def test_the_process_that_workers_are_forked_from_may_end_in_any_state() -> None:
    for state in RolloutState:
        assert ROLLOUT_TRANSITIONS[state, RolloutEvent.CALLED_OFF] is RolloutState.SETTLED


def test_the_next_promotion_begins_only_after_the_last_one_has_ended() -> None:
    ordered = [state for state, event in PROMOTION_TRANSITIONS if event is PromotionEvent.ORDERED]
    assert ordered == [PromotionState.IDLE]
