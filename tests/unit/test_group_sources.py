"""A group, tested without processes: the order of its listeners, the packing of its requests."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from prefork import PreforkGroup, TCPServer
from prefork.socketserver.pool.members import GroupAdapter, Taken
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.server_in_worker import Listener, Taker
from prefork.workers.sources.base import RoundRobin
from prefork.workers.sources.reuseport import ReuseportSource
from prefork.workers.sources.several import SharedGroupSource
from tests.support.deadlines import EXCHANGE, stretched
from tests.support.fake_system import FakeServer
from tests.support.groups import BASES, Client, member


class Queue:
    """A listener whose requests are bytes, made from a socket pair."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self._receiving, self._sending = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._receiving.setblocking(False)

    def fileno(self) -> int:
        return self._receiving.fileno()

    def backlog(self) -> int:
        return 5

    def take_from(self, listener: int) -> None:
        os.dup2(listener, self._receiving.fileno(), inheritable=False)

    def taker(self) -> Taker:
        return lambda: (self._receiving.recv(10), self.name)

    def takes_at_once(self) -> bool:
        return True

    def tries_cheaply(self) -> bool:
        return False

    def put(self, count: int) -> None:
        for _ in range(count):
            self._sending.send(b"request")

    def close(self) -> None:
        self._receiving.close()
        self._sending.close()


class Several(FakeServer):
    def __init__(self, *queues: Queue) -> None:
        super().__init__()
        self.queues = queues

    def listeners(self) -> Sequence[Listener]:
        return self.queues


class AtWork:
    """A worker's source of requests, over two queues."""

    def __init__(self, kind: str) -> None:
        self.a, self.b = Queue(b"a"), Queue(b"b")
        self.server = Several(self.a, self.b)
        self.master, self._channel = Channel.pair()
        self.source = self._shared() if kind == "shared" else self._reuseport()

    def _shared(self) -> SharedGroupSource:
        return SharedGroupSource(self.server, self._channel, None, requeue_after=8)

    def _reuseport(self) -> ReuseportSource:
        listeners = list(enumerate([self.a.fileno(), self.b.fileno()]))
        return ReuseportSource(self.server, self._channel, None, listeners)

    def taken(self, count: int) -> bytes:
        """Take requests as the worker's loop does; return the names of their queues."""
        names = []
        for _ in range(count):
            assert self.source.wait(stretched(EXCHANGE))
            names.append(self.source.take()[1])
        return b"".join(names)

    def close(self) -> None:
        for one in (self.a, self.b, self.master, self._channel, self.server.listener):
            one.close()
        self.source._poller.epoll.close()
        if isinstance(self.source, ReuseportSource):
            self.source._others.epoll.close()
            for fd in self.source._like:
                os.close(fd)


@pytest.fixture(params=["shared", "reuseport"])
def at_work(request: pytest.FixtureRequest) -> Iterator[AtWork]:
    at_work = AtWork(request.param)
    yield at_work
    at_work.close()


def test_listeners_with_requests_take_turns(at_work: AtWork) -> None:
    at_work.a.put(10)
    at_work.b.put(4)
    assert Counter(at_work.taken(8)) == Counter(b"abababab")


def test_a_request_at_a_quiet_listener_is_taken_second_at_the_latest(at_work: AtWork) -> None:
    at_work.a.put(10)
    at_work.taken(5)
    at_work.b.put(1)
    assert b"b" in at_work.taken(2)


def test_an_order_is_noticed_between_the_requests_of_a_flooded_listener(at_work: AtWork) -> None:
    at_work.a.put(10)
    at_work.taken(2)
    at_work.master.send(Message(Kind.RETIRE))
    waits = [at_work.source.wait(stretched(EXCHANGE)) for _ in range(2)]
    assert False in waits
    assert at_work.source.next_order() == Message(Kind.RETIRE)


def test_listeners_are_emptied_in_turns_until_nothing_is_pending(at_work: AtWork) -> None:
    at_work.a.put(3)
    at_work.b.put(2)
    names = []
    while at_work.source.has_pending():
        names.append(at_work.source.take()[1])
    assert b"".join(names) == b"ababa"


def test_the_round_robin_skips_listeners_without_a_request() -> None:
    queues = [Queue(b""), Queue(b""), Queue(b"")]
    fds = [queue.fileno() for queue in queues]
    round_robin = RoundRobin(fds)
    assert round_robin.look() == -1
    queues[1].put(1)
    assert [round_robin.look() for _ in range(2)] == [fds[1], fds[1]]
    queues[0].put(1)
    queues[2].put(1)
    assert [round_robin.look() for _ in range(4)] == [fds[0], fds[2], fds[1], fds[0]]
    for queue in queues:
        queue.close()


@pytest.fixture
def group(short_path: Path) -> Iterator[PreforkGroup]:
    with PreforkGroup(*(member(kind, short_path, bytes) for kind in BASES)) as group:
        yield group


def test_a_packed_request_has_the_number_of_its_member(group: PreforkGroup) -> None:
    adapter = GroupAdapter(group)
    for number, server in enumerate(group.members):
        client = Client(server, b"hello")
        taken, client_address = group.get_request()
        assert isinstance(taken, Taken)
        assert taken.number == number
        packed = adapter.pack(taken, client_address)
        assert packed is not None
        body, fd = packed
        arrived, from_address = adapter.unpack(body, None if fd is None else os.dup(fd))
        assert (arrived.number, from_address) == (number, client_address)
        if fd is None:
            assert arrived.request == (b"hello", server.socket)
        else:
            assert arrived.request.recv(10) == b"hello"
            arrived.request.close()
        group.shutdown_request(taken)
        client.socket.close()


def test_requests_are_taken_in_turns(group: PreforkGroup) -> None:
    servers = list(group.members)
    clients = [Client(server, b"") for server in servers for _ in range(3)]
    numbers = []
    for _ in clients:
        taken, _ = group.get_request()
        numbers.append(taken.number)
        group.shutdown_request(taken)
    for client in clients:
        client.socket.close()
    rounds = [sorted(numbers[start : start + 4]) for start in (0, 4, 8)]
    assert rounds == [[0, 1, 2, 3]] * 3


def test_get_request_never_waits(group: PreforkGroup) -> None:
    with pytest.raises(BlockingIOError):
        group.get_request()
    group.server_close()
    with pytest.raises(BlockingIOError):
        group.get_request()


def test_a_request_that_cannot_leave_this_process_is_not_packed(group: PreforkGroup) -> None:
    assert GroupAdapter(group).pack(Taken(0, object()), None) is None


def test_a_group_follows_the_sockets_of_its_members(group: PreforkGroup) -> None:
    tcp: Any = group.members[0]
    before = group.fileno()
    assert group.fileno() == before
    former, tcp.socket = tcp.socket, TCPServer(("127.0.0.1", 0), None).socket  # type: ignore[arg-type]
    assert group.fileno() != before
    tcp.server_address = tcp.socket.getsockname()
    former.close()
    with Client(tcp, b"hello").socket:
        taken, _ = group.get_request()
        assert taken.number == 0
        group.shutdown_request(taken)
