"""The record of each request that a worker with threads is serving."""

import threading
from collections.abc import Iterator

import pytest

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.scoreboard import Scoreboard, Slot, State
from tests.support.deadlines import within

FIRST, SECOND, THIRD = ("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 3)


@pytest.fixture
def slot() -> Slot:
    return Scoreboard().slot(0)


@pytest.fixture
def in_flight(slot: Slot) -> Iterator[InFlight]:
    counter = InFlight(2, daemon_threads=False, slot=slot)
    yield counter
    counter.close_in_child()


def test_the_scoreboard_shows_the_oldest_request(in_flight: InFlight, slot: Slot) -> None:
    """Quick requests must not hide an older one that is stuck."""
    in_flight.enter(1, FIRST)
    in_flight.enter(2, SECOND)
    assert (slot.read().peer, slot.read().in_flight) == ("127.0.0.1:1", 2)
    in_flight.leave(1)
    assert (slot.read().peer, slot.read().in_flight) == ("127.0.0.1:2", 1)
    in_flight.enter(3, THIRD)
    in_flight.leave(3)
    assert (slot.read().peer, slot.read().served) == ("127.0.0.1:2", 2)
    in_flight.leave(2)
    assert (slot.read().state, slot.read().served) == (State.IDLE, 3)


def test_the_scoreboard_shows_since_when_the_oldest_request_is_served(
    in_flight: InFlight, slot: Slot
) -> None:
    """It used to show since when the worker was busy, beside the client of a later request."""
    in_flight.enter(1, FIRST)
    in_flight.enter(2, SECOND)
    first = slot.read()
    in_flight.leave(1)
    second = slot.read()
    assert second.since > first.since
    assert second.busy == pytest.approx(second.since - first.since, abs=1e-6)
    in_flight.leave(2)


def test_a_label_belongs_to_the_request_of_the_calling_thread(
    in_flight: InFlight, slot: Slot
) -> None:
    """A label used to belong to the whole worker."""

    def serve_another() -> None:
        in_flight.serve(2, SECOND)
        assert in_flight.label("page 8")

    in_flight.serve(1, FIRST)
    assert in_flight.label("page 7")
    other = threading.Thread(target=serve_another)
    other.start()
    within(other.join)
    assert (slot.read().peer, slot.read().label) == ("127.0.0.1:1", "page 7")
    in_flight.leave(1)
    assert (slot.read().peer, slot.read().label) == ("127.0.0.1:2", "page 8")
    in_flight.leave(2)


def test_a_thread_without_a_request_sets_no_label(in_flight: InFlight) -> None:
    in_flight.enter(1, FIRST)
    assert not in_flight.label("page 7")
    in_flight.leave(1)


def test_entering_or_leaving_twice_counts_a_request_once(in_flight: InFlight, slot: Slot) -> None:
    in_flight.enter(1, FIRST)
    in_flight.serve(1, FIRST)
    assert slot.read().in_flight == 1
    in_flight.leave(1)
    in_flight.leave(1)
    assert slot.read().served == 1


def test_the_counter_is_full_at_its_bound(in_flight: InFlight) -> None:
    in_flight.enter(1, FIRST)
    full = [in_flight.full]
    in_flight.enter(2, SECOND)
    full.append(in_flight.full)
    in_flight.leave(1)
    full.append(in_flight.full)
    assert full == [False, True, False]
    in_flight.leave(2)
