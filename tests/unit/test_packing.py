"""Packing a request for another process: what is passed, how it arrives, and what cannot be."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from prefork.socketserver.pool.packing import pack, unpack
from tests.support.deadlines import EXCHANGE, stretched


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: the server's end and the client's end."""
    servers_end, clients_end = socket.socketpair()
    clients_end.settimeout(stretched(EXCHANGE))
    with servers_end, clients_end:
        yield servers_end, clients_end


Pair = tuple[socket.socket, socket.socket]


class LikeTLS(socket.socket):
    """A socket as `ssl` makes it: a part of its state is in this process's memory."""


ADDRESSES = [("127.0.0.1", 40312), ("::1", 40312, 0, 3), "/run/client", b"\0name", "", None]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("timeout", [None, 0.0, 1.5])
def test_a_packed_connection_keeps_its_timeout_and_its_address(
    connection: Pair, timeout: float | None, address: Any
) -> None:
    request, client = connection
    request.settimeout(timeout)
    with socket.socket() as listener:
        server = SimpleNamespace(socket=listener)
        packed = pack(server, request, address)
        assert packed is not None
        body, fd = packed
        assert fd == request.fileno()
        arrived, client_address = unpack(server, body, os.dup(fd))
    with arrived:
        assert type(arrived) is socket.socket
        assert arrived.gettimeout() == timeout
        assert arrived.family == request.family
        assert client_address == address
        arrived.sendall(b"served")
        assert client.recv(10) == b"served"


def test_a_connection_without_a_timeout_does_not_get_the_programs_default(connection: Pair) -> None:
    """`socket.setdefaulttimeout()` is for new sockets, not for those that are passed on."""
    server = SimpleNamespace(socket=connection[1])
    socket.setdefaulttimeout(stretched(EXCHANGE))
    try:
        packed = pack(server, connection[0], None)
        assert packed is not None
        arrived, _ = unpack(server, packed[0], os.dup(connection[0].fileno()))
    finally:
        socket.setdefaulttimeout(None)
    with arrived:
        assert arrived.gettimeout() is None


@pytest.mark.parametrize("data", [b"", b"data", bytes(65507)])
def test_a_packed_datagram_keeps_its_address_and_gets_the_servers_socket(data: bytes) -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as listener,
        socket.socket(type=socket.SOCK_DGRAM) as its,
    ):
        packed = pack(SimpleNamespace(socket=listener), (data, listener), ("127.0.0.1", 53))
        assert packed is not None
        assert packed[1] is None
        request, address = unpack(SimpleNamespace(socket=its), *packed)
        assert request == (data, its)
        assert address == ("127.0.0.1", 53)


def test_a_descriptor_that_was_lost_in_transit_is_an_error(connection: Pair) -> None:
    """The kernel delivers the bytes of the message; they must not be taken for a datagram."""
    server = SimpleNamespace(socket=connection[1])
    packed = pack(server, connection[0], None)
    assert packed is not None
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        unpack(server, packed[0], None)


def test_a_connection_that_is_already_closed_is_an_error(connection: Pair) -> None:
    """It cannot be passed on, but that is not a reason to stop handing requests over."""
    request, own = connection
    request.close()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        pack(SimpleNamespace(socket=own), request, ("127.0.0.1", 1))


def test_a_request_that_is_more_than_bytes_and_a_descriptor_is_not_packed(connection: Pair) -> None:
    request, own = connection
    server = SimpleNamespace(socket=own)
    with LikeTLS() as like_tls:
        staying: list[tuple[Any, Any]] = [
            (own, None),  # a server of a single connection
            (like_tls, None),
            (request, ("127.0.0.1", 1, request)),
            (request, object()),
            ((b"data", request), None),
            ((bytearray(b"data"), own), None),
            ((b"data", own, "more"), None),
            (b"a line", None),
            (None, None),
        ]
        for each in staying:
            assert pack(server, *each) is None, each
