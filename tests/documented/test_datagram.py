"""The two datagram servers."""

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.documented.kit import (
    LOOPBACK,
    Record,
    address_for,
    bound_client,
    ignore,
    mixed,
    take_one,
    traced,
)
from tests.support.clients import datagram_socket

KINDS = ["UDPServer", "UnixDatagramServer"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def address(kind: str, short_path: Path) -> Any:
    return address_for(kind, short_path)


def test_a_request_is_the_data_and_the_servers_own_socket(
    api: Any, kind: str, address: Any, short_path: Path
) -> None:
    requests = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        requests.append((request, client_address))

    with (
        getattr(api, kind)(address, handler) as server,
        bound_client(server, short_path) as client,
    ):
        client.sendto(b"hello", server.server_address)
        take_one(server)
        assert requests == [((b"hello", server.socket), client.getsockname())]
        assert type(requests[0][0]) is tuple


@pytest.mark.parametrize("mixin", ["", "Threading", "Forking"])
def test_datagrams_are_answered(
    api: Any, kind: str, address: Any, short_path: Path, mixin: str
) -> None:
    class Handler(api.DatagramRequestHandler):
        def handle(self) -> None:
            self.wfile.write(self.rfile.readline().upper())

    server_class = mixed(api, mixin, kind)
    with server_class(address, Handler) as server, bound_client(server, short_path) as client:
        for line in (b"hello\n", b"again\n"):
            client.sendto(line, server.server_address)
            take_one(server)
            assert client.recvfrom(100) == (line.upper(), server.server_address)


@pytest.mark.parametrize("mixin", ["", "Threading"])
def test_closing_a_request_leaves_the_socket_open(api: Any, record: Record, mixin: str) -> None:
    base = getattr(api, f"{mixin}UDPServer")
    with (
        traced(base, record)(LOOPBACK, ignore) as server,
        datagram_socket(server.server_address) as client,
    ):
        for count in (1, 2, 3):
            client.sendto(b"hello", server.server_address)
            take_one(server)
            assert server.fileno() >= 0
            assert record.count("get_request") == count
    assert record.count("shutdown_request") == record.count("close_request") == 3


def test_an_empty_datagram_is_a_request_too(
    api: Any, kind: str, address: Any, short_path: Path
) -> None:
    with (
        getattr(api, kind)(address, api.DatagramRequestHandler) as server,
        bound_client(server, short_path) as client,
    ):
        client.sendto(b"", server.server_address)
        take_one(server)
        assert client.recv(100) == b""


@pytest.mark.parametrize(("limit", "received"), [(None, 8192), (10000, 10000), (100, 100)])
def test_a_long_datagram_is_truncated_to_max_packet_size(
    api: Any, limit: int | None, received: int
) -> None:
    lengths = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        lengths.append(len(request[0]))

    with api.UDPServer(LOOPBACK, handler) as server:
        if limit is not None:
            server.max_packet_size = limit
        with datagram_socket(server.server_address) as client:
            client.sendto(b"x" * 20000, server.server_address)
            take_one(server)
    assert lengths == [received]


def test_an_answer_that_does_not_fit_is_an_error_like_any_other(api: Any) -> None:
    errors = []

    class Handler(api.DatagramRequestHandler):
        def handle(self) -> None:
            self.wfile.write(bytes(65508))

    class Server(api.UDPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            try:
                raise
            except OSError as error:
                errors.append(error.errno)

    with Server(LOOPBACK, Handler) as server, datagram_socket(server.server_address) as client:
        client.sendto(b"hello", server.server_address)
        take_one(server)
    assert errors == [errno.EMSGSIZE]


def test_the_loop_serves_datagrams(
    api: Any, kind: str, address: Any, short_path: Path, running: Any
) -> None:
    server = getattr(api, kind)(address, api.DatagramRequestHandler)
    with running(server), bound_client(server, short_path) as client:
        client.sendto(b"hello", server.server_address)
        assert client.recv(100) == b""


def test_activating_does_not_listen(api: Any) -> None:
    """Calling `listen()` would raise OSError."""
    with api.UDPServer(LOOPBACK, ignore) as server:
        server.server_activate()
        assert server.server_address == server.socket.getsockname()
        assert server.socket.type == socket.SOCK_DGRAM
