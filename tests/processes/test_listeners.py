"""Rules 6 and 7: no worker blocks in taking a request, whatever the listener is."""

import contextlib
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from prefork import BaseServer, PreforkMixIn, PreforkTCPServer, PreforkUnixStreamServer
from prefork.linux.listening_sockets import Borrowed
from tests.support.announcements import Gate, Told
from tests.support.children import children_of
from tests.support.clients import ask, connect, receive_all
from tests.support.deadlines import EXCHANGE, HANG, stretched, within
from tests.support.polling import eventually
from tests.support.pools import (
    Handler,
    answer,
    answer_pid,
    echo,
    idle_workers,
    pool_of,
    serving_in_child,
    states,
    waiting_clients,
)
from tests.support.serving import start_serving
from tests.support.tls import ask_securely, wrapped


def prepare_blocking(listener: socket.socket) -> None:
    """Leave the listener blocking, as the constructor makes it."""


def prepare_timeout(listener: socket.socket) -> None:
    listener.settimeout(stretched(HANG))


def prepare_non_blocking(listener: socket.socket) -> None:
    listener.settimeout(0)


def prepare_receive_timeout(listener: socket.socket) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(HANG), 0))


LISTENERS = [prepare_blocking, prepare_timeout, prepare_non_blocking, prepare_receive_timeout]


@pytest.mark.parametrize("prepare", LISTENERS)
def test_rule_6_no_worker_blocks_in_accept(strategy: str, prepare: Any, running: Any) -> None:
    """After the selector says "ready", another worker may take the connection.

    A worker that then blocks in accept() does not notice that the server ends. Many workers and few
    clients make this race frequent.
    """
    server = pool_of(answer_pid, strategy=strategy, workers=4)
    prepare(server.socket)
    with running(server):
        for _ in range(20):
            assert int(ask(server.server_address)) != os.getpid()


@pytest.mark.parametrize("prepare", LISTENERS)
def test_rule_6_connections_are_blocking_whatever_the_listener_is(
    strategy: str, prepare: Any, running: Any, told: Told
) -> None:
    """A handler that reads at once must wait for its client instead of getting BlockingIOError."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered")
        timeout = request.gettimeout()
        request.sendall(b"%s %s" % (request.recv(10), str(timeout).encode()))

    server = pool_of(handler, strategy=strategy)
    prepare(server.socket)
    with running(server), connect(server.server_address) as client:
        told.wait_for(b"entered")
        client.sendall(b"x")
        assert receive_all(client) == b"x None"


def test_rule_6_the_master_sees_the_timeout_it_has_set(running: Any) -> None:
    """The timeout of the listener is the program's own; the pool leaves it alone."""
    server = pool_of(answer_pid)
    server.socket.settimeout(HANG)
    with running(server):
        ask(server.server_address)
        assert server.socket.gettimeout() == HANG


def test_rule_6_a_seqpacket_listener_serves_and_ends(
    strategy: str, short_path: Path, running: Any
) -> None:
    """`socket_type` is a documented attribute; SOCK_SEQPACKET listens and accepts like a stream."""
    server = pool_of(
        echo,
        strategy=strategy,
        base=PreforkUnixStreamServer,
        address=str(short_path / "s"),
        socket_type=socket.SOCK_SEQPACKET,
    )
    with running(server):
        for _ in range(8):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.settimeout(stretched(EXCHANGE))
                client.connect(server.server_address)
                client.sendall(b"packet")
                assert client.recv(100) == b"packet"


class PipeServer(PreforkMixIn, BaseServer):
    """Takes lines of a fixed length from a pipe, without any socket."""

    max_children = 2

    def __init__(self, reader: int, handler: Any) -> None:
        BaseServer.__init__(self, ("pipe", 0), handler)
        self.reader = reader

    def fileno(self) -> int:
        return self.reader

    def get_request(self) -> Any:
        return os.read(self.reader, 8), ("pipe", 0)


@pytest.mark.one_queue
def test_rule_6_requests_need_not_come_from_a_socket(
    strategy: str, told: Told, running: Any
) -> None:
    """Servers over serial lines, pipes and devices are derived from BaseServer."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("line", request, os.getpid())

    reader, writer = os.pipe()
    os.set_blocking(reader, False)  # another worker may read the line first
    server = PipeServer(reader, handler)
    server.prefork_settings = type(server.prefork_settings)(strategy=strategy)  # type: ignore[arg-type]
    try:
        with running(server):
            for number in range(6):
                os.write(writer, b"line %03d" % number)
            for number in range(6):
                words = told.wait_for(b"line").split()
                assert words[0] == b"line"
                assert int(words[-1]) != os.getpid(), number
    finally:
        os.close(reader)
        os.close(writer)


def test_a_pool_without_a_socket_does_not_harm_other_pools(strategy: str, running: Any) -> None:
    """Workers close the sockets of all other pools, and this other pool has none."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        other = PipeServer(reader, echo)
        with running(other), running(pool_of(answer_pid, strategy=strategy)) as server:
            for _ in range(3):
                assert int(ask(server.server_address)) != os.getpid()
    finally:
        os.close(reader)
        os.close(writer)


# -- TLS: accept() performs the handshake ----------------------------------------------------------


def test_rule_7_a_listener_wrapped_in_tls_after_construction_is_served(
    strategy: str, certificate: tuple[str, str]
) -> None:
    """werkzeug, prometheus and users of `http.server` wrap the socket just before serving."""
    server = wrapped(pool_of(echo, strategy=strategy), certificate)
    with serving_in_child(server):
        for _ in range(6):
            assert ask_securely(server.server_address, certificate, b"secret") == b"secret"


def test_rule_7_a_silent_tls_client_occupies_one_worker_only(
    certificate: tuple[str, str],
) -> None:
    """accept() waits for the handshake, so no lock may be held meanwhile.

    The standard library's servers stop serving altogether in this situation.
    """
    server = wrapped(pool_of(answer_pid, workers=2), certificate)
    address = server.server_address
    with serving_in_child(server) as master:
        workers = eventually(lambda: children_of(master), what="workers")
        with connect(address):
            answers = [int(ask_securely(address, certificate, b"")) for _ in range(12)]
            # One of both workers accepts the silent client at some point, and is busy from then on.
            assert len(set(answers[-4:])) == 1
        workers = children_of(master)
        assert set(answers) <= workers
        assert len(workers) == 2


def test_rule_7_a_worker_in_a_handshake_is_shown_as_busy(
    certificate: tuple[str, str], running: Any
) -> None:
    """It used to be shown as idle while a silent client occupied it for minutes."""
    server = wrapped(pool_of(answer_pid, workers=2), certificate)
    with running(server):
        idle_workers(server, 2)
        with connect(server.server_address):
            eventually(lambda: sorted(states(server)) == ["busy", "idle"], what="a handshake")
        idle_workers(server, 2)
        assert [status.served for status in server.prefork_status()] == [0, 0]


def test_rule_7_a_client_that_does_not_speak_tls_affects_no_other_client(
    strategy: str, certificate: tuple[str, str]
) -> None:
    """Port scanners and browsers with the wrong scheme connect to every TLS port."""
    server = wrapped(pool_of(echo, strategy=strategy), certificate)
    address = server.server_address
    with serving_in_child(server) as master:
        if strategy == "accept":
            eventually(lambda: len(children_of(master)) == 2, what="both workers")
        before = children_of(master)
        for _ in range(4):
            with connect(address) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer(client)
        assert ask_securely(address, certificate, b"secret") == b"secret"
        if strategy == "accept":
            assert children_of(master) == before


def test_rule_7_a_handshake_that_times_out_while_stopping_affects_no_other_client(
    held: Handler, told: Told, gate: Gate
) -> None:
    """A silent client in the backlog used to make the last worker leave before those behind it."""

    def get_request(self: Any) -> Any:
        request, address = PreforkTCPServer.get_request(self)
        request.settimeout(0.05)
        try:
            request.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            request.close()
            raise
        request.settimeout(None)
        return request, address

    server = pool_of(held, workers=1, get_request=get_request)
    thread = start_serving(server)
    with waiting_clients(server.server_address, 1) as [first]:
        told.wait_for(b"entered")
        silent = connect(server.server_address)
        with silent, waiting_clients(server.server_address, 2) as others:
            thread.shut_down()
            gate.open()
            within(server.server_close)
            assert [answer(client) for client in (first, *others)] == [
                b"served 0",
                b"served 0",
                b"served 1",
            ]


def test_ipv6_and_unix_listeners_are_served(strategy: str, running: Any, short_path: Path) -> None:
    """The same pool works with each address family."""
    with contextlib.suppress(OSError):
        server = pool_of(echo, strategy=strategy, address=("::1", 0))
        with running(server):
            assert ask(server.server_address, b"6") == b"6"
    for address in (str(short_path / "s"), b"\0prefork-test-%d" % os.getpid()):
        server = pool_of(echo, strategy=strategy, base=PreforkUnixStreamServer, address=address)
        with running(server):
            assert ask(address, b"unix") == b"unix"


def test_workers_take_turns(running: Any) -> None:
    """With one client at a time, no worker may do all the work while others stay idle."""
    with running(pool_of(answer_pid, workers=4)) as server:
        workers = idle_workers(server, 4)
        answers = {int(ask(server.server_address)) for _ in range(200)}
        assert answers == workers


def test_a_borrowed_descriptor_stays_open_when_its_borrower_is_deleted() -> None:
    """An exception of a signal handler may interrupt the code that would detach the descriptor."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        borrowed = Borrowed(fileno=listener.fileno())
        del borrowed
        listener.getsockname()
