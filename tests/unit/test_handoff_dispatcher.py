"""The dispatcher of `handoff`: which workers are handed requests, and which no longer are."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefork.master.strategies.handoff_dispatcher import MAX_IN_CHANNEL
from prefork.state.lifecycle import WorkerEvent
from prefork.workers.protocol.messages import MAX_BODY, Kind
from tests.support.fake_handoff import HandoffPool
from tests.support.pools import messages


@pytest.fixture
def pool() -> Iterator[HandoffPool]:
    pool = HandoffPool()
    yield pool
    pool.close()


def test_the_worker_that_has_waited_longest_gets_the_next_request(pool: HandoffPool) -> None:
    first, second, third = (pool.add_worker() for _ in range(3))
    assert pool.place(b"a", b"b", b"c")
    assert [w.handed() for w in (first, second, third)] == [[b"a"], [b"b"], [b"c"]]
    for worker in (third, first, second):
        worker.completes()
    assert pool.place(b"d", b"e", b"f")
    assert [w.handed() for w in (third, first, second)] == [[b"d"], [b"e"], [b"f"]]


def test_a_request_in_transit_is_known_before_the_scoreboard_shows_it(
    pool: HandoffPool,
) -> None:
    """The worker must not be retired as idle, even if the scoreboard still shows it as idle."""
    worker = pool.add_worker()
    assert not pool.handoff.has_request_in_transit(worker.record)
    pool.place(b"a")
    assert pool.handoff.has_request_in_transit(worker.record)
    worker.handed()
    worker.completes()
    assert not pool.handoff.has_request_in_transit(worker.record)


def test_with_lifo_the_worker_that_finished_last_is_next() -> None:
    pool = HandoffPool(order="lifo")
    first, second = pool.add_worker(), pool.add_worker()
    for name in (b"a", b"b", b"c"):
        assert pool.place(name)
        assert second.handed() == [name]
        second.completes()
    assert first.handed() == []
    pool.close()


def test_with_lifo_and_threads_the_worker_that_finished_last_is_next() -> None:
    pool = HandoffPool(bound=3, order="lifo")
    first, second = pool.add_worker(), pool.add_worker()
    assert pool.place(b"a", b"b", b"c", b"d")
    assert (second.handed(), first.handed()) == ([b"a", b"b", b"c"], [b"d"])
    second.completes()
    first.completes()
    assert pool.place(b"e")
    assert (second.handed(), first.handed()) == ([], [b"e"])
    pool.close()


def test_no_request_is_taken_before_a_worker_can_serve_it(pool: HandoffPool) -> None:
    assert not pool.wants_more()
    worker = pool.add_worker()
    assert pool.wants_more()
    assert pool.place(b"a")
    assert not pool.wants_more()
    assert not pool.place(b"b")
    assert worker.handed() == [b"a"]
    worker.completes()
    assert pool.wants_more()


@pytest.mark.parametrize(("bound", "most"), [(None, 1), (1, 1), (3, 3), (0, MAX_IN_CHANNEL)])
def test_a_worker_is_handed_as_many_requests_as_it_has_threads(
    pool: HandoffPool, bound: int | None, most: int
) -> None:
    pool.server.bound = bound
    worker = pool.add_worker()
    assert pool.place(*(b"x" for _ in range(most)))
    assert not pool.wants_more()
    worker.completes()
    assert pool.place(b"x")
    assert not pool.wants_more()


def test_workers_with_threads_take_turns(pool: HandoffPool) -> None:
    pool.server.bound = 2
    first, second = pool.add_worker(), pool.add_worker()
    assert pool.place(b"a", b"b", b"c", b"d")
    assert (first.handed(), second.handed()) == ([b"a", b"c"], [b"b", b"d"])


def test_a_worker_that_is_forked_for_one_request_is_not_handed_another(pool: HandoffPool) -> None:
    worker = pool.add_worker()
    pool.handoff.forget(worker.record)
    worker.record.persistent = False
    pool.handoff.note_ready(worker.record)
    assert not pool.place(b"a")


def test_a_retired_worker_is_handed_nothing(pool: HandoffPool) -> None:
    retired, other = pool.add_worker(), pool.add_worker()
    retired.record.note(WorkerEvent.RETIRED)
    assert pool.place(b"a")
    assert (retired.handed(), other.handed()) == ([], [b"a"])
    assert not pool.place(b"b")


def test_a_worker_at_its_limit_is_retired_and_handed_nothing_more(pool: HandoffPool) -> None:
    pool.server.bound = 2
    worker = pool.add_worker()
    assert pool.place(b"a")
    worker.wants_to_leave()
    assert [message.kind for message in worker.received()] == [Kind.TAKE, Kind.RETIRE]
    worker.completes()
    assert not pool.wants_more()
    assert not pool.place(b"b")
    assert worker.received() == []


def test_a_worker_whose_channel_is_closed_is_skipped(pool: HandoffPool) -> None:
    """It has died, and the master has not noticed yet; its last message may arrive later."""
    dead, other = pool.add_worker(), pool.add_worker()
    dead.end.close()
    assert pool.place(b"a")
    assert other.handed() == [b"a"]
    dead.completes()
    dead.dies()
    assert not pool.place(b"b")


def test_a_worker_whose_channel_is_full_is_skipped_until_it_reads(pool: HandoffPool) -> None:
    pool.server.bound = 0
    slow = pool.add_worker()
    many = 0
    while pool.place(b"x" * 8192):
        many += 1
    assert not pool.wants_more()
    other = pool.add_worker()
    assert pool.place(b"a")
    assert other.handed() == [b"a"]
    other.dies()
    assert len(slow.handed()) == many
    slow.completes()
    assert pool.place(b"b")
    assert slow.handed() == [b"b"]


def test_after_a_request_that_cannot_be_sent_every_idle_worker_is_still_used(
    pool: HandoffPool,
) -> None:
    """Like ETOOMANYREFS (too many descriptors in transit); here the descriptor is invalid."""
    first, second = pool.add_worker(), pool.add_worker()
    assert not pool.handoff.place((b"bad", -1), None)
    assert pool.wants_more()
    assert pool.place(b"a", b"b")
    assert (first.handed(), second.handed()) == ([b"a"], [b"b"])


def test_messages_of_a_dead_worker_are_ignored(pool: HandoffPool) -> None:
    dead = pool.add_worker()
    dead.dies()
    dead.completes()
    dead.wants_to_leave()
    assert not pool.wants_more()


def test_when_the_loop_has_ended_a_worker_serves_only_what_it_was_handed(pool: HandoffPool) -> None:
    order = pool.strategy.last_order()
    assert (order.kind, int(order.body)) == (Kind.DRAIN, 0)


STEPS = st.sampled_from(["add_worker", "place", "place", "place", "done", "done", "leave", "die"])


@given(st.sampled_from([None, 1, 3, 0]), st.lists(st.tuples(STEPS, st.integers(0, 4)), max_size=60))
def test_a_request_is_taken_exactly_when_a_worker_has_room_and_goes_to_that_worker(
    bound: int | None, steps: list[tuple[str, int]]
) -> None:
    pool = HandoffPool(bound)
    most = {None: 1, 0: len(steps)}.get(bound, bound) or 1
    try:
        for step, number in steps:
            workers = pool.living()
            room = [w for w in workers if not w.is_leaving and w.in_flight < most]
            assert pool.wants_more() is bool(room)
            if step == "add_worker":
                pool.add_worker()
            elif step == "place":
                assert pool.place(b"x") is bool(room)
                takers = [worker for worker in workers if worker.handed()]
                assert len(takers) == bool(room)
                assert all(worker in room for worker in takers)
            elif workers:
                worker = workers[number % len(workers)]
                if step == "die":
                    worker.dies()
                elif step == "leave":
                    worker.wants_to_leave()
                elif worker.in_flight:
                    worker.completes()
    finally:
        pool.close()


# -- what cannot be passed on ----------------------------------------------------------------------


@pytest.mark.parametrize("packed", [None, (bytes(MAX_BODY + 1), None)])
def test_after_a_request_that_cannot_be_passed_on_the_pool_forks_and_warns_once(
    pool: HandoffPool, caplog: pytest.LogCaptureFixture, packed: tuple[bytes, None] | None
) -> None:
    pool.add_worker()
    for _ in range(3):
        assert not pool.handoff.place(packed, None)
    assert pool.strategy.persistent(8) == 0
    assert pool.handoff.wants_listener(2)
    assert not pool.handoff.wants_listener(1)
    [warning] = messages(caplog.records, logging.WARNING)
    assert "cannot be passed to another process" in warning


def test_the_next_run_hands_requests_over_again(pool: HandoffPool) -> None:
    worker = pool.add_worker()
    assert not pool.handoff.place(None, None)
    pool.strategy.begin()
    assert pool.strategy.persistent(8) == 8
    assert pool.place(b"a")
    assert worker.handed() == [b"a"]
