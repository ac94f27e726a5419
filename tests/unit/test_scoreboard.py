"""The scoreboard, the channel and the counter of requests, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import MAX_BODY, Kind, Message
from prefork.workers.protocol.scoreboard import SLOTS_IN_SEGMENT, Scoreboard, State


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        (("127.0.0.1", 40312), "127.0.0.1:40312"),
        (("::1", 40312, 0, 0), "::1:40312"),
        ("", ""),
        ("/run/client.sock", "/run/client.sock"),
        (b"\0abstract", "@abstract"),
        (None, ""),
        (("a", "b"), "('a', 'b')"),
        (object, "<class 'object'>"),
        ("\udcff" * 3, "???"),
        (("x" * 200, 1), "x" * 48 + ":1"),
    ],
)
def test_any_client_address_can_be_shown(address: Any, peer: str) -> None:
    slot = Scoreboard().slot(0)
    slot.take(address)
    assert slot.read().peer == peer


def test_a_slot_counts_requests_when_they_are_completed() -> None:
    slot = Scoreboard().slot(0)
    slot.clear()
    assert slot.read().state is State.STARTING
    slot.enter(State.IDLE)
    slot.take(("127.0.0.1", 1))
    busy = slot.read()
    assert (busy.state, busy.served, busy.in_flight) == (State.BUSY, 0, 1)
    slot.done()
    idle = slot.read()
    assert (idle.state, idle.served, idle.in_flight, idle.peer) == (State.IDLE, 1, 0, "")
    assert idle.busy == pytest.approx(idle.since - busy.since, abs=1e-7)


def test_a_label_is_forgotten_with_its_request() -> None:
    slot = Scoreboard().slot(0)
    slot.take(("127.0.0.1", 1))
    slot.label("page 7 " + "é" * 100)
    assert slot.read().label.startswith("page 7 é")
    slot.done()
    slot.take(("127.0.0.1", 2))
    assert slot.read().label == ""


def test_a_worker_with_several_requests_is_busy_since_the_first_of_them() -> None:
    slot = Scoreboard().slot(0)
    slot.take(("127.0.0.1", 1))
    slot.label("page 7")
    first = slot.read()
    slot.take(("127.0.0.1", 2), in_flight=2)
    both = slot.read()
    assert (both.since, both.peer, both.label) == (first.since, "127.0.0.1:2", "page 7")
    started = int(first.since * 1e9) + 5_000_000
    slot.done_of_many(1, ("127.0.0.1", 2), started, "page 8")
    one = slot.read()
    assert (one.peer, one.label) == ("127.0.0.1:2", "page 8")
    assert one.since == pytest.approx(first.since + 0.005, abs=1e-6)
    assert one.busy == pytest.approx(0.005, abs=1e-6)
    slot.done()
    idle = slot.read()
    assert idle.served == 2
    assert idle.busy == pytest.approx(idle.since - first.since, abs=1e-7)


def test_slots_do_not_overlap() -> None:
    board = Scoreboard()
    slots = [board.slot(number) for number in range(SLOTS_IN_SEGMENT + 2)]
    for number, slot in enumerate(slots):
        slot.take(("h" * 48, number))
        slot.label("l" * 200)
    assert [slot.read().peer for slot in slots] == [
        f"{'h' * 48}:{n}" if n else "h" * 48 for n in range(len(slots))
    ]
    slots[5].clear()
    assert slots[4].read().state is slots[6].read().state is State.BUSY


def test_a_cleared_slot_shows_nothing_of_its_former_worker() -> None:
    board = Scoreboard()
    board.slot(0).take(("127.0.0.1", 1))
    board.slot(0).label("old")
    board.slot(0).clear()
    assert board.slot(0).read()[2:] == ("", "", 0, 0.0, 0)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    masters_end, workers_end = Channel.pair()
    yield masters_end, workers_end
    masters_end.close()
    workers_end.close()


def test_messages_keep_their_boundaries_and_their_order(pair: tuple[Channel, Channel]) -> None:
    master, worker = pair
    master.send(Message.drain(12))
    master.send(Message(Kind.RETIRE))
    assert worker.receive() == Message(Kind.DRAIN, b"12")
    assert worker.receive() == Message(Kind.RETIRE)
    with pytest.raises(BlockingIOError):
        worker.receive()


def test_the_end_of_a_long_traceback_arrives(pair: tuple[Channel, Channel]) -> None:
    master, worker = pair
    worker.send(Message.failed("x" * MAX_BODY + "the last line"))
    message = master.receive()
    assert message is not None
    assert len(message.body) == MAX_BODY
    assert message.body.endswith(b"the last line")


def test_a_closed_peer_is_an_end_of_file_and_not_an_error(pair: tuple[Channel, Channel]) -> None:
    master, worker = pair
    worker.close()
    assert master.receive() is None
    master.send(Message(Kind.RETIRE))


def test_after_hanging_up_the_same_side_reads_the_end_of_file(
    pair: tuple[Channel, Channel],
) -> None:
    _, worker = pair
    worker.hang_up()
    assert worker.receive() is None
