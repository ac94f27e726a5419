"""The worker's side of `handoff`: requests and orders arrive through one channel."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.completions import Completions
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.protocol.scoreboard import Scoreboard
from prefork.workers.sources.handoff import HandoffSource
from tests.support.deadlines import EXCHANGE, stretched
from tests.support.fake_system import FakeServer


class PackedRequestServer(FakeServer):
    def unpack(self, packed: bytes, fd: int | None) -> tuple[Any, Any]:
        return packed, fd


class AtWork:
    """The worker's side: its source of requests, and the master's end of the channel."""

    def __init__(self, in_flight: InFlight | None = None) -> None:
        self.server = PackedRequestServer()
        self.master, self._channel = Channel.pair()
        self._completions = Completions()
        self.source = HandoffSource(self.server, self._channel, in_flight, self._completions)

    def send(self, *messages: Message) -> None:
        for message in messages:
            assert self.master.send(message)

    def done(self) -> int:
        """The number of requests that it has reported as completed since the last call."""
        pids = [pid for (pid,) in self._completions.reports()]
        assert set(pids) <= {os.getpid()}
        return len(pids)

    def close(self) -> None:
        self.master.close()
        self._completions.close()
        self._channel.close()
        self.source._poller.epoll.close()
        self.server.listener.close()


@pytest.fixture
def at_work() -> Iterator[AtWork]:
    at_work = AtWork()
    yield at_work
    at_work.close()


A, B, RETIRE = Message(Kind.TAKE, b"a"), Message(Kind.TAKE, b"b"), Message(Kind.RETIRE)


def test_a_wait_ends_with_a_request_or_an_order(at_work: AtWork) -> None:
    source = at_work.source
    assert not source.wait(0)
    at_work.send(A)
    assert source.wait(stretched(EXCHANGE))
    assert source.take() == (b"a", None)
    assert not source.has_pending()
    at_work.send(RETIRE)
    assert not source.wait(stretched(EXCHANGE))
    assert source.next_order() == RETIRE
    with pytest.raises(BlockingIOError):
        source.next_order()


def test_an_order_is_found_behind_requests_that_are_kept(at_work: AtWork) -> None:
    """A worker that is retired first serves what it was handed: no other process can."""
    source = at_work.source
    at_work.send(A, B, RETIRE)
    assert source.next_order() == RETIRE
    assert source.holds_some()
    assert [source.take() for _ in range(2)] == [(b"a", None), (b"b", None)]
    assert not source.holds_some()


def test_requests_are_kept_when_the_master_has_ended(at_work: AtWork) -> None:
    at_work.send(A)
    at_work.master.close()
    assert at_work.source.next_order() is None
    assert at_work.source.take() == (b"a", None)


def test_a_worker_reports_completed_requests_and_asks_before_it_leaves(at_work: AtWork) -> None:
    at_work.source.serve(b"a", None)
    assert at_work.done() == 0
    assert not at_work.source.wait(0)
    assert at_work.done() == 1
    at_work.source.serve(b"b", None)
    assert not at_work.source.may_leave()
    assert not at_work.source.wait(0)
    assert at_work.done() == 0, "the master would hand it another request"
    assert at_work.master.receive() == Message(Kind.LEAVING)


def test_a_worker_that_cannot_unpack_a_request_asks_to_leave(
    at_work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request would be lost as well."""

    def fail(packed: bytes, fd: int | None) -> Any:
        raise OSError("no descriptor left")

    monkeypatch.setattr(at_work.server, "unpack", fail)
    at_work.send(A)
    assert at_work.source.wait(stretched(EXCHANGE))
    with pytest.raises(OSError, match="no descriptor left"):
        at_work.source.take()
    assert at_work.master.receive() == Message(Kind.LEAVING)
    assert not at_work.source.has_pending()


def test_a_worker_with_threads_reports_a_request_when_its_thread_has_ended() -> None:
    in_flight = InFlight(2, daemon_threads=False, slot=Scoreboard().slot(0))
    at_work = AtWork(in_flight)
    try:
        in_flight.enter(1, None)
        at_work.source.serve(b"a", None)  # only starts the thread
        assert at_work.done() == 0
        in_flight.leave(1)
        assert at_work.done() == 1
    finally:
        os.close(in_flight.fileno())
        at_work.close()


def test_a_failure_to_open_the_pipe_is_one_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cleaning up the half-built object used to fail, with a second traceback."""
    unraisable: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    monkeypatch.setattr("os.pipe2", lambda _: os.close(-1))
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        Completions()
    gc.collect()
    assert unraisable == []
