"""How a request ends, and how a server is closed."""

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.documented.kit import (
    LOOPBACK,
    Record,
    address_for,
    echo,
    flag,
    has_ended,
    ignore,
    mixed,
    take_one,
    traced,
)
from tests.support.clients import ask, connect, receive_all
from tests.support.serving import start_serving


@pytest.mark.parametrize("mixin", ["", "Threading", "Forking"])
@pytest.mark.parametrize("kind", ["TCPServer", "UnixStreamServer"])
def test_all_kinds_of_stream_servers_serve_in_a_loop_and_close(
    api: Any, mixin: str, kind: str, short_path: Path, running: Any
) -> None:
    server_class = mixed(api, mixin, kind)
    with running(server_class(address_for(kind, short_path), echo)) as server:
        for word in (b"one", b"two", b"three"):
            assert ask(server.server_address, word) == word
    assert server.fileno() == -1
    assert not getattr(server, "active_children", None)


def test_the_client_sees_the_end_while_other_processes_hold_the_connection(api: Any) -> None:
    """Closing sends nothing to the client while a copy of the descriptor is open elsewhere."""
    copies = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        copies.append(request.dup())

    with api.TCPServer(LOOPBACK, handler) as server, connect(server.server_address) as client:
        take_one(server)
        assert receive_all(client) == b""
        with copies[0] as copy:
            client.sendall(b"the other direction is open")
            assert copy.recv(100) == b"the other direction is open"


def test_a_request_is_closed_after_its_handler(api: Any) -> None:
    requests = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        requests.append(request)

    with api.TCPServer(LOOPBACK, handler) as server, connect(server.server_address):
        take_one(server)
        assert requests[0].fileno() == -1


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.EBADF])
def test_closing_the_request_of_a_client_that_has_gone_is_not_an_error(
    api: Any, number: int
) -> None:
    closed = []

    class Gone:
        def shutdown(self, how: int) -> None:
            assert how == socket.SHUT_WR
            raise OSError(number, os.strerror(number))

        def close(self) -> None:
            closed.append(self)

    with api.TCPServer(LOOPBACK, ignore) as server:
        server.shutdown_request(Gone())
        with socket.socket() as never_connected:
            server.shutdown_request(never_connected)
            assert never_connected.fileno() == -1
    assert len(closed) == 1


def test_requests_are_shut_down_and_closed_by_methods_of_the_server(
    api: Any, record: Record
) -> None:
    with traced(api.TCPServer, record)(LOOPBACK, ignore) as server, socket.socket() as request:
        record.clear()
        server.shutdown_request(request)
        assert record == ["shutdown_request", "close_request"]


def test_a_with_block_returns_the_server_and_closes_it(api: Any, record: Record) -> None:
    server = traced(api.TCPServer, record)(LOOPBACK, ignore)
    record.clear()
    with server as entered:
        assert entered is server
        assert record == []
    assert record == ["server_close"]
    assert server.fileno() == -1


def test_exceptions_propagate_from_a_with_block(api: Any) -> None:
    with pytest.raises(ValueError, match="mine"), api.TCPServer(LOOPBACK, ignore) as server:
        raise ValueError("mine")
    assert server.fileno() == -1
    assert server.__exit__(None, None, None) is None


def test_closing_does_not_stop_the_loop(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as server:
        thread = start_serving(server)
    assert flag(server) is False
    assert not has_ended(server)
    thread.shut_down()


@pytest.mark.parametrize(
    "name", ["TCPServer", "UDPServer", "ThreadingTCPServer", "ForkingTCPServer"]
)
def test_a_server_may_be_closed_twice_or_unused(api: Any, name: str) -> None:
    server = getattr(api, name)(LOOPBACK, ignore)
    server.server_close()
    server.server_close()
    assert server.fileno() == -1
    unbound = getattr(api, name)(LOOPBACK, None, bind_and_activate=False)
    unbound.server_close()
    unbound.server_close()


@pytest.mark.parametrize("name", ["UnixStreamServer", "UnixDatagramServer"])
def test_the_path_of_a_unix_server_stays_after_the_close(
    api: Any, name: str, short_path: Path
) -> None:
    path = short_path / "s"
    getattr(api, name)(str(path), ignore).server_close()
    assert path.is_socket()
    with pytest.raises(OSError, match="in use"):
        getattr(api, name)(str(path), ignore)


def test_a_client_in_the_backlog_sees_the_close(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as server:
        client = connect(server.server_address)
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(server.server_address)
