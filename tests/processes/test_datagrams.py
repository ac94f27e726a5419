"""Rule 6 for datagrams: pools of UDP and Unix datagram servers."""

import os
import select
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from prefork import PreforkUDPServer, PreforkUnixDatagramServer
from tests.support.announcements import Gate, Told
from tests.support.clients import datagram_socket
from tests.support.deadlines import EXCHANGE, HANG, Call, stretched, within
from tests.support.pools import LOOPBACK, idle_workers, pool_of
from tests.support.serving import start_serving


class Kind:
    """One kind of datagram server, and clients for it."""

    def __init__(self, base: Any, folder: Path) -> None:
        self.base = base
        self.unix = base is PreforkUnixDatagramServer
        self.address: Any = str(folder / "server") if self.unix else LOOPBACK
        self._folder = folder
        self._clients: list[socket.socket] = []

    def client(self, server: Any) -> socket.socket:
        path = str(self._folder / f"client{len(self._clients)}") if self.unix else None
        client = datagram_socket(server.server_address, path)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(params=[PreforkUDPServer, PreforkUnixDatagramServer])
def kind(request: pytest.FixtureRequest, short_path: Path) -> Iterator[Kind]:
    kind = Kind(request.param, short_path)
    yield kind
    kind.close()


def echo_with_pid(request: Any, client_address: Any, server: Any) -> None:
    data, sock = request
    sock.sendto(b"%s %d" % (data, os.getpid()), client_address)


def test_a_timeout_that_a_handler_sets_on_the_socket_does_not_delay_orders(kind: Kind) -> None:
    """The worker used to block for that long in its next receive, with its orders unread."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request[1].settimeout(stretched(HANG))
        echo_with_pid(request, client_address, server)

    server = pool_of(handler, workers=1, base=kind.base, address=kind.address)
    thread = start_serving(server)
    client = kind.client(server)
    client.sendto(b"a", server.server_address)
    assert client.recv(100).startswith(b"a ")
    thread.shut_down()
    within(server.server_close)


def test_datagrams_are_answered_from_all_workers_under_load(kind: Kind, running: Any) -> None:
    """Each datagram is a request of its own, as in DNS and syslog servers."""
    server = pool_of(echo_with_pid, workers=3, base=kind.base, address=kind.address)
    with running(server):
        workers = idle_workers(server, 3)
        client = kind.client(server)
        seen: set[int] = set()
        for number in range(3000):
            client.sendto(b"%d" % number, server.server_address)
            data, pid = client.recv(100).split()
            assert int(data) == number
            seen.add(int(pid))
            if seen == workers:
                break
        assert seen == workers


@pytest.mark.one_queue
def test_datagrams_are_served_concurrently(
    strategy: str, kind: Kind, running: Any, told: Told, gate: Gate
) -> None:
    """A slow request occupies its own worker only."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered", os.getpid())
        gate.wait()
        echo_with_pid(request, client_address, server)

    server = pool_of(handler, strategy=strategy, base=kind.base, address=kind.address)
    with running(server):
        client = kind.client(server)
        for number in range(2):
            client.sendto(b"%d" % number, server.server_address)
        pids = {int(told.wait_for(b"entered")) for _ in range(2)}
        assert len(pids) == 2
        gate.open()
        assert {int(client.recv(100).split()[1]) for _ in range(2)} == pids


def test_rule_6_no_worker_blocks_in_recvfrom(strategy: str, kind: Kind, running: Any) -> None:
    """A worker must not block in receiving a datagram that another worker has taken."""
    server = pool_of(
        echo_with_pid, strategy=strategy, workers=4, base=kind.base, address=kind.address
    )
    with running(server):
        client = kind.client(server)
        for _ in range(20):
            client.sendto(b"x", server.server_address)
            client.recv(100)


def test_datagrams_in_the_buffer_are_answered_when_the_server_ends(
    strategy: str, kind: Kind, told: Told, gate: Gate
) -> None:
    """Stopping loses no request: datagrams that have arrived before are answered."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered")
        gate.wait()
        echo_with_pid(request, client_address, server)

    server = pool_of(handler, strategy=strategy, workers=1, base=kind.base, address=kind.address)
    thread = start_serving(server)
    client = kind.client(server)
    for number in range(6):
        client.sendto(b"%d" % number, server.server_address)
    told.wait_for(b"entered")
    thread.shut_down()
    gate.open()
    within(server.server_close)
    assert {int(client.recv(100).split()[0]) for _ in range(6)} == set(range(6))


def block(sock: socket.socket) -> None:
    """Leave the socket blocking, as the constructor makes it."""


def time_out(sock: socket.socket) -> None:
    sock.settimeout(stretched(EXCHANGE))


@pytest.mark.parametrize("prepare", [block, time_out])
def test_a_blocking_sendto_in_a_handler_still_blocks(
    strategy: str, running: Any, short_path: Path, told: Told, prepare: Callable[[Any], None]
) -> None:
    """A handler that sends many datagrams waits for a slow client.

    If the pool made the socket non-blocking, sendto() would raise BlockingIOError instead.
    """
    many = 2000

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered")
        for number in range(many):
            try:
                request[1].sendto(b"%d" % number, client_address)
            except OSError as error:
                told.say("failed", repr(error))
                return
            if number == 0:
                told.say("sending")
        told.say("sent")

    kind = Kind(PreforkUnixDatagramServer, short_path)
    server = pool_of(handler, strategy=strategy, base=kind.base, address=kind.address)
    prepare(server.socket)
    with running(server):
        client = kind.client(server)
        client.sendto(b"x", server.server_address)
        told.wait_for(b"sending")
        received = [int(client.recv(100)) for _ in range(many)]
        assert received == list(range(many))
        assert told.next() != b""
        assert told.wait_for(b"sent") == b""
    kind.close()


def test_the_server_socket_in_a_worker_is_an_ordinary_socket(kind: Kind, running: Any) -> None:
    """Handlers use `server.socket` and the socket of the request: they are the same object."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        sock = request[1]
        same = sock is server.socket and isinstance(sock, socket.socket)
        same = same and sock.getsockname() == server.server_address and sock.gettimeout() is None
        sock.sendto(b"%d" % same, client_address)

    with running(pool_of(handler, base=kind.base, address=kind.address)) as server:
        client = kind.client(server)
        client.sendto(b"x", server.server_address)
        assert client.recv(10) == b"1"


def test_an_overridden_get_request_takes_datagrams(strategy: str, kind: Kind, running: Any) -> None:
    """Servers that need ancillary data or a larger buffer call recvmsg() themselves."""

    def get_request(self: Any) -> Any:
        data, _, _, address = self.socket.recvmsg(100, 100)
        return (data.upper(), self.socket), address

    server = pool_of(
        echo_with_pid,
        strategy=strategy,
        base=kind.base,
        address=kind.address,
        get_request=get_request,
    )
    with running(server):
        client = kind.client(server)
        client.sendto(b"x", server.server_address)
        assert client.recv(100).split()[0] == b"X"


def test_each_client_gets_its_own_answers_under_load(
    strategy: str, kind: Kind, running: Any
) -> None:
    """No answer is sent twice, and none to the wrong client."""
    server = pool_of(echo_with_pid, strategy=strategy, base=kind.base, address=kind.address)
    with running(server):
        clients = [kind.client(server) for _ in range(4)]

        def ask_often(name: int, client: socket.socket) -> None:
            for number in range(10):
                client.sendto(b"%d-%d" % (name, number), server.server_address)
                assert client.recv(100).split()[0] == b"%d-%d" % (name, number)

        calls = [Call(partial(ask_often, *each)) for each in enumerate(clients)]
        for call in calls:
            call.result()
        assert not select.select(clients, [], [], 0)[0]
