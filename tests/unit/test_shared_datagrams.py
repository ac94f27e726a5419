"""When a worker that takes datagrams calls `epoll_wait` before it tries to receive."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.server_in_worker import Taker
from prefork.workers.sources.shared import ASKS, MAX_UNASKED, SharedDatagramSource
from tests.support.deadlines import EXCHANGE, stretched
from tests.support.fake_system import FakeServer


class Inbox(FakeServer):
    """A server with a datagram socket, to which the test sends."""

    def __init__(self) -> None:
        super().__init__()
        self.listener.close()
        self.listener, self.client = socket.socketpair(type=socket.SOCK_DGRAM)

    def taker(self) -> Taker:
        return lambda: (self.listener.recv(10, socket.MSG_DONTWAIT), None)


class AtWork:
    """A worker's source of datagrams; time moves only when the test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000_000
        monkeypatch.setattr("prefork.workers.sources.shared._clock", lambda: self.now)
        self.server = Inbox()
        self.master, self._channel = Channel.pair()
        self.source = SharedDatagramSource(self.server, self._channel, None, requeue_after=8)

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.server.client.send(datagram)

    def tries_at_once(self) -> bool:
        """Return whether the source would try to receive without asking first."""
        return self.source.wait(0)

    def close(self) -> None:
        self.master.close()
        self._channel.close()
        self.source._epoll.close()
        self.server.listener.close()
        self.server.client.close()


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[AtWork]:
    at_work = AtWork(monkeypatch)
    yield at_work
    at_work.close()


def fail_to_take(at_work: AtWork) -> None:
    with pytest.raises(BlockingIOError):
        at_work.source.take()


def test_a_worker_first_asks_and_then_tries_at_once(at_work: AtWork) -> None:
    assert not at_work.tries_at_once()
    at_work.send(b"a", b"b")
    assert at_work.source.wait(stretched(EXCHANGE))
    assert at_work.source.take() == (b"a", None)
    assert at_work.tries_at_once()
    assert at_work.source.take() == (b"b", None)
    assert at_work.tries_at_once()


def test_after_a_try_that_finds_nothing_a_worker_asks_several_times_before_it_tries_again(
    at_work: AtWork,
) -> None:
    at_work.source.wait(0)
    assert at_work.tries_at_once()
    fail_to_take(at_work)
    for _ in range(ASKS):
        assert not at_work.tries_at_once()
    assert at_work.tries_at_once()


def test_a_flooded_worker_still_reads_its_orders(at_work: AtWork) -> None:
    at_work.source.wait(0)
    assert at_work.master.send(Message(Kind.RETIRE))
    at_work.send(b"a", b"b")
    at_work.now += MAX_UNASKED - 1
    assert at_work.source.wait(0)
    assert at_work.source.take() == (b"a", None)
    at_work.now += 1
    assert not at_work.source.wait(0), "it would keep serving and not read its orders"
    assert at_work.source.next_order() == Message(Kind.RETIRE)
