"""The books of `handoff`: who is handed what, and who nothing any more."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefork.master.strategies.handoff_dispatcher import MAX_IN_CHANNEL
from prefork.state.lifecycle import WorkerEvent
from prefork.workers.protocol.channel import MAX_BODY, Kind
from tests.support.handoff_desk import Desk
from tests.support.pools import messages


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def test_who_has_waited_longest_has_the_next_request(desk: Desk) -> None:
    first, second, third = (desk.hire() for _ in range(3))
    assert desk.place(b"a", b"b", b"c")
    assert [w.handed() for w in (first, second, third)] == [[b"a"], [b"b"], [b"c"]]
    for worker in (third, first, second):
        worker.is_done()
    assert desk.place(b"d", b"e", b"f")
    assert [w.handed() for w in (third, first, second)] == [[b"d"], [b"e"], [b"f"]]


def test_a_request_that_is_on_its_way_is_known_before_the_worker_shows_it(desk: Desk) -> None:
    """Who was handed one is not idle, whatever the scoreboard says: it is not to be retired."""
    worker = desk.hire()
    assert not desk.handoff.has_request_in_transit(worker.record)
    desk.place(b"a")
    assert desk.handoff.has_request_in_transit(worker.record)
    worker.handed()
    worker.is_done()
    assert not desk.handoff.has_request_in_transit(worker.record)


def test_with_lifo_the_worker_that_was_done_last_is_next() -> None:
    desk = Desk(order="lifo")
    first, second = desk.hire(), desk.hire()
    for name in (b"a", b"b", b"c"):
        assert desk.place(name)
        assert second.handed() == [name]
        second.is_done()
    assert first.handed() == []
    desk.close()


def test_with_lifo_and_threads_the_worker_that_was_done_last_is_next() -> None:
    desk = Desk(bound=3, order="lifo")
    first, second = desk.hire(), desk.hire()
    assert desk.place(b"a", b"b", b"c", b"d")
    assert (second.handed(), first.handed()) == ([b"a", b"b", b"c"], [b"d"])
    second.is_done()
    first.is_done()
    assert desk.place(b"e")
    assert (second.handed(), first.handed()) == ([], [b"e"])
    desk.close()


def test_no_request_is_taken_before_somebody_can_begin_with_it(desk: Desk) -> None:
    assert not desk.wants_more()
    worker = desk.hire()
    assert desk.wants_more()
    assert desk.place(b"a")
    assert not desk.wants_more()
    assert not desk.place(b"b")
    assert worker.handed() == [b"a"]
    worker.is_done()
    assert desk.wants_more()


@pytest.mark.parametrize(("bound", "most"), [(None, 1), (1, 1), (3, 3), (0, MAX_IN_CHANNEL)])
def test_a_worker_has_as_many_in_hand_as_it_has_threads(
    desk: Desk, bound: int | None, most: int
) -> None:
    desk.host.bound = bound
    worker = desk.hire()
    assert desk.place(*(b"x" for _ in range(most)))
    assert not desk.wants_more()
    worker.is_done()
    assert desk.place(b"x")
    assert not desk.wants_more()


def test_workers_with_threads_take_turns(desk: Desk) -> None:
    desk.host.bound = 2
    first, second = desk.hire(), desk.hire()
    assert desk.place(b"a", b"b", b"c", b"d")
    assert (first.handed(), second.handed()) == ([b"a", b"c"], [b"b", b"d"])


def test_a_worker_that_is_forked_for_one_request_is_handed_no_other(desk: Desk) -> None:
    worker = desk.hire()
    desk.handoff.forget(worker.record)
    worker.record.persistent = False
    desk.handoff.note_ready(worker.record)
    assert not desk.place(b"a")


def test_a_retired_worker_loses_its_place(desk: Desk) -> None:
    retired, other = desk.hire(), desk.hire()
    retired.record.note(WorkerEvent.RETIRED)
    assert desk.place(b"a")
    assert (retired.handed(), other.handed()) == ([], [b"a"])
    assert not desk.place(b"b")


def test_a_worker_at_its_limit_is_told_to_retire_and_handed_nothing_more(desk: Desk) -> None:
    desk.host.bound = 2
    worker = desk.hire()
    assert desk.place(b"a")
    worker.wants_to_leave()
    assert [message.kind for message in worker.heard()] == [Kind.TAKE, Kind.RETIRE]
    worker.is_done()
    assert not desk.wants_more()
    assert not desk.place(b"b")
    assert worker.heard() == []


def test_a_worker_whose_channel_is_gone_is_passed_over(desk: Desk) -> None:
    """It has died, and the master has not heard of it yet; what it said last may come later."""
    dead, other = desk.hire(), desk.hire()
    dead.end.close()
    assert desk.place(b"a")
    assert other.handed() == [b"a"]
    dead.is_done()
    dead.dies()
    assert not desk.place(b"b")


def test_a_worker_whose_channel_is_full_is_passed_over_until_it_listens(desk: Desk) -> None:
    desk.host.bound = 0
    slow = desk.hire()
    many = 0
    while desk.place(b"x" * 8192):
        many += 1
    assert not desk.wants_more()
    other = desk.hire()
    assert desk.place(b"a")
    assert other.handed() == [b"a"]
    other.dies()
    assert len(slow.handed()) == many
    slow.is_done()
    assert desk.place(b"b")
    assert slow.handed() == [b"b"]


def test_a_request_that_cannot_be_sent_costs_no_idle_worker_its_place(desk: Desk) -> None:
    """There may be too many descriptors on their way (ETOOMANYREFS): here, it is a bad one."""
    first, second = desk.hire(), desk.hire()
    assert not desk.handoff.place((b"bad", -1), None)
    assert desk.wants_more()
    assert desk.place(b"a", b"b")
    assert (first.handed(), second.handed()) == ([b"a"], [b"b"])


def test_what_a_worker_says_after_its_end_is_not_heard(desk: Desk) -> None:
    dead = desk.hire()
    dead.dies()
    dead.is_done()
    dead.wants_to_leave()
    assert not desk.wants_more()


def test_when_the_loop_has_ended_a_worker_serves_only_what_it_holds(desk: Desk) -> None:
    order = desk.strategy.last_order()
    assert (order.kind, int(order.body)) == (Kind.DRAIN, 0)


STEPS = st.sampled_from(["hire", "place", "place", "place", "done", "done", "leave", "die"])


@given(st.sampled_from([None, 1, 3, 0]), st.lists(st.tuples(STEPS, st.integers(0, 4)), max_size=60))
def test_whatever_happens_a_request_is_taken_just_when_a_worker_has_room_and_goes_there(
    bound: int | None, steps: list[tuple[str, int]]
) -> None:
    desk = Desk(bound)
    most = {None: 1, 0: len(steps)}.get(bound, bound) or 1
    try:
        for step, number in steps:
            workers = desk.living()
            room = [w for w in workers if not w.is_leaving and w.in_hand < most]
            assert desk.wants_more() is bool(room)
            if step == "hire":
                desk.hire()
            elif step == "place":
                assert desk.place(b"x") is bool(room)
                takers = [worker for worker in workers if worker.handed()]
                assert len(takers) == bool(room)
                assert all(worker in room for worker in takers)
            elif workers:
                worker = workers[number % len(workers)]
                if step == "die":
                    worker.dies()
                elif step == "leave":
                    worker.wants_to_leave()
                elif worker.in_hand:
                    worker.is_done()
    finally:
        desk.close()


# -- what cannot travel ----------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [None, (bytes(MAX_BODY + 1), None)])
def test_after_a_request_that_cannot_travel_workers_are_forked_and_it_is_said_once(
    desk: Desk, caplog: pytest.LogCaptureFixture, packed: tuple[bytes, None] | None
) -> None:
    desk.hire()
    for _ in range(3):
        assert not desk.handoff.place(packed, None)
    assert desk.strategy.persistent(8) == 0
    assert desk.handoff.wants_listener(2)
    assert not desk.handoff.wants_listener(1)
    [warning] = messages(caplog.records, logging.WARNING)
    assert "cannot be passed to another process" in warning


def test_the_next_run_hopes_again(desk: Desk) -> None:
    worker = desk.hire()
    assert not desk.handoff.place(None, None)
    desk.strategy.begin()
    assert desk.strategy.persistent(8) == 8
    assert desk.place(b"a")
    assert worker.handed() == [b"a"]
