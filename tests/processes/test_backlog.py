"""How many clients wait at a listener, read without privileges while every worker is busy."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefork import PreforkTCPServer, PreforkUnixStreamServer
from prefork.readings import sockdiag
from prefork.readings.backlog import NOTHING, charge, depth, total, waiting_at_most
from prefork.state.snapshot import Depth
from tests.conftest import Running
from tests.support.announcements import Told
from tests.support.children import child_running
from tests.support.clients import connect, connections
from tests.support.pools import LOOPBACK, Handler, pool_of, waiting_clients

NOBODY_UID = 65534
QUEUED = 37


def as_unprivileged_user(told: Told, read: Callable[[], Depth]) -> Depth:
    """The depth that an unprivileged process reads."""

    def body() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY_UID)
            os.setuid(NOBODY_UID)
        found = read()
        told.say("depth", found.waiting, -1 if found.limit is None else found.limit, found.dropped)

    with child_running(body):
        waiting, limit, dropped = map(int, told.wait_for(b"depth").split())
    return Depth(waiting, limit, dropped)


@pytest.fixture(params=["tcp", "tcp6", "unix", "abstract", "seqpacket"])
def listener(request: pytest.FixtureRequest, short_path: Path) -> Iterator[socket.socket]:
    """A bare listener with a backlog of 50."""
    kinds: dict[str, tuple[int, int, Any]] = {
        "tcp": (socket.AF_INET, socket.SOCK_STREAM, LOOPBACK),
        "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
        "unix": (socket.AF_UNIX, socket.SOCK_STREAM, str(short_path / "server")),
        "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0prefork-test-{os.getpid()}"),
        "seqpacket": (socket.AF_UNIX, socket.SOCK_SEQPACKET, str(short_path / "server")),
    }
    family, kind, address = kinds[request.param]
    with contextlib.closing(socket.socket(family, kind)) as sock:
        try:
            sock.bind(address)
        except OSError as error:
            pytest.skip(f"no such address on this machine: {error}")
        sock.listen(50)
        yield sock


@contextlib.contextmanager
def queued(listener: socket.socket, count: int) -> Iterator[None]:
    """Clients that have connected and wait, *count* of them."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.socket(listener.family, listener.type))
            client.connect(listener.getsockname())
        yield


def test_clients_that_wait_at_a_bare_listener_are_counted(
    listener: socket.socket, told: Told
) -> None:
    assert depth(listener.fileno()) == Depth(0, 50, 0)
    with queued(listener, QUEUED):
        assert as_unprivileged_user(told, lambda: depth(listener.fileno())) == Depth(QUEUED, 50, 0)
        assert waiting_at_most(listener.fileno(), 50) == QUEUED
        listener.accept()[0].close()
        assert depth(listener.fileno()) == Depth(QUEUED - 1, 50, 0)


@pytest.mark.parametrize("base", [PreforkTCPServer, PreforkUnixStreamServer])
@pytest.mark.parametrize("strategy", ["accept", "handoff", "fork"])
def test_clients_that_wait_while_every_worker_is_busy_are_counted(
    base: Any, strategy: str, running: Running, held: Handler, told: Told, short_path: Path
) -> None:
    address = LOOPBACK if base is PreforkTCPServer else str(short_path / "server")
    server = pool_of(held, strategy=strategy, workers=2, base=base, address=address)
    with running(server), waiting_clients(server.server_address, 2):
        for _ in range(2):
            told.wait_for(b"entered")
        with waiting_clients(server.server_address, QUEUED):
            found = as_unprivileged_user(told, lambda: depth(server.fileno()))
            assert found == Depth(QUEUED, server.request_queue_size, 0)


def test_a_full_tcp_backlog_holds_one_more_than_its_limit_and_counts_rejected_clients() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(LOOPBACK, backlog=2))
        stack.enter_context(connections(listener.getsockname(), 3))
        assert depth(listener.fileno()) == Depth(3, 2, 0)
        late = stack.enter_context(socket.socket())
        late.setblocking(False)
        late.connect_ex(listener.getsockname())
        # On the loopback device, the kernel has handled the SYN before connect(2) returns.
        assert depth(listener.fileno()) == Depth(3, 2, 1)


def test_a_full_unix_backlog_rejects_no_client(short_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as late:
        listener.bind(str(short_path / "server"))
        listener.listen(2)
        with connections(listener.getsockname(), 3):
            late.setblocking(False)
            with pytest.raises(BlockingIOError):
                late.connect(listener.getsockname())
            assert depth(listener.fileno()) == Depth(3, 2, 0)


@pytest.fixture
def datagrams() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A UDP socket, and another one connected to it."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(LOOPBACK)
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect(server.getsockname())
            yield server, client


@pytest.mark.parametrize("length", [0, 100, 600, 1400])
def test_waiting_datagrams_are_counted_by_the_memory_that_they_take(
    datagrams: tuple[socket.socket, socket.socket], told: Told, length: int
) -> None:
    server, client = datagrams
    for _ in range(QUEUED + 1):
        client.send(bytes(length))
    server.recv(length)  # SO_MEMINFO still charges a part of its memory afterwards
    found = as_unprivileged_user(told, lambda: depth(server.fileno()))
    # Before Linux 6.3, the smallest datagrams took a twelfth less.
    assert QUEUED - 3 <= found.waiting <= QUEUED + 1
    assert found.limit == server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // charge(length)
    assert found.dropped == 0
    assert waiting_at_most(server.fileno(), 0) >= QUEUED


def test_datagrams_dropped_at_a_full_buffer_are_counted(
    datagrams: tuple[socket.socket, socket.socket],
) -> None:
    server, client = datagrams
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(100):
        client.send(b"x")
    found = depth(server.fileno())
    waiting = 0
    with contextlib.suppress(BlockingIOError):
        while server.recv(1, socket.MSG_DONTWAIT):
            waiting += 1
    assert found.dropped == 100 - waiting > 0
    assert abs(found.waiting - waiting) <= 1
    assert depth(server.fileno()).waiting == 0


def test_any_number_of_waiting_unix_datagrams_is_read_as_one(short_path: Path) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client,
    ):
        server.bind(str(short_path / "server"))
        client.connect(server.getsockname())
        empty = depth(server.fileno())
        assert (empty.waiting, empty.dropped) == (0, 0)
        client.send(b"")
        client.send(b"x")
        assert depth(server.fileno()) == empty._replace(waiting=1)
        assert waiting_at_most(server.fileno(), 0) > 2


def test_nothing_waits_at_a_descriptor_that_is_not_a_listener() -> None:
    with socket.create_server(LOOPBACK) as listener, connect(listener.getsockname()) as client:
        reader, writer = os.pipe()
        one, other = socket.socketpair()
        try:
            other.send(b"something to read")
            connected = client.fileno(), one.fileno()
            assert [depth(fd) for fd in (-1, reader, *connected)] == [NOTHING] * 4
            assert [waiting_at_most(fd, 7) for fd in (-1, reader)] == [0, 8]
        finally:
            os.close(reader)
            os.close(writer)
            one.close()
            other.close()
        assert depth(reader) == NOTHING


def test_clients_at_several_listeners_are_counted_together() -> None:
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(socket.create_server(LOOPBACK, backlog=5))
        two = stack.enter_context(socket.create_server(LOOPBACK, backlog=7))
        stack.enter_context(connections(one.getsockname(), 2))
        stack.enter_context(connections(two.getsockname(), 3))
        assert total([one.fileno(), -1, two.fileno()]) == Depth(5, 12, 0)
        assert total([]) == NOTHING


def test_without_netlink_a_unix_backlog_is_unknown_and_udp_is_read_from_the_socket(
    monkeypatch: pytest.MonkeyPatch,
    short_path: Path,
    datagrams: tuple[socket.socket, socket.socket],
) -> None:
    """A sandbox may forbid netlink, and a socket may be of another network namespace."""
    monkeypatch.setattr(sockdiag, "_SOCK_DIAG", 255)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_path / "server"))
        listener.listen(7)
        with connections(listener.getsockname(), 2):
            assert depth(listener.fileno()) == NOTHING
            assert waiting_at_most(listener.fileno(), 7) == 8
    server, client = datagrams
    client.send(b"x")
    assert depth(server.fileno()).waiting == 1
