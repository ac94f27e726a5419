"""Groups of servers under test: a member of each kind, and clients for each."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prefork import (
    BaseRequestHandler,
    PreforkGroup,
    Settings,
    TCPServer,
    UDPServer,
    UnixDatagramServer,
    UnixStreamServer,
)
from tests.support.clients import connect, datagram_socket, receive_all
from tests.support.pools import LOOPBACK

Respond = Callable[[bytes], bytes]
"""What a handler does: compute the bytes of the answer from those of the request."""


def kind_of(server: Any) -> str:
    """The kind of a server: `tcp`, `udp`, `unix` or `unixgram`."""
    unix = server.address_family == socket.AF_UNIX
    streams = server.socket_type == socket.SOCK_STREAM
    return {(0, 1): "tcp", (0, 0): "udp", (1, 1): "unix", (1, 0): "unixgram"}[unix, streams]


def handler_with(respond: Respond) -> type[BaseRequestHandler]:
    """Make a handler class for requests of any kind."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            if isinstance(self.request, tuple):
                data, sock = self.request
                if (answer := respond(data)) and self.client_address:
                    sock.sendto(answer, self.client_address)
            else:
                self.request.sendall(respond(self.request.recv(1000)))

    return Handler


class Tcp(TCPServer):
    request_queue_size = 100


class Unix(UnixStreamServer):
    request_queue_size = 100


BASES: dict[str, Any] = {"tcp": Tcp, "udp": UDPServer, "unix": Unix, "unixgram": UnixDatagramServer}


def member(kind: str, folder: Path, respond: Respond, base: Any = None) -> Any:
    """Make a server of that kind, which listens."""
    address = LOOPBACK if kind in ("tcp", "udp") else str(folder / kind)
    return (base or BASES[kind])(address, handler_with(respond))


def kinds_for(strategy: str) -> list[str]:
    """The kinds of server that a group may have under a strategy."""
    return ["tcp", "udp"] if strategy == "reuseport" else list(BASES)


def group_of(
    *members: Any,
    strategy: str = "accept",
    workers: int = 2,
    fork_ahead: int = 0,
    **attributes: Any,
) -> Any:
    """Make a group with these members; *attributes* become those of its class."""
    attributes["prefork_settings"] = Settings(strategy=strategy, fork_ahead=fork_ahead)  # type: ignore[arg-type]
    attributes["max_children"] = workers
    return type("Group", (PreforkGroup,), attributes)(*members)


class Client:
    """A client with one request to one server."""

    def __init__(self, server: Any, request: bytes) -> None:
        self.kind = kind_of(server)
        address = server.server_address
        if server.socket_type == socket.SOCK_STREAM:
            self.socket = connect(address)
        else:
            own = f"{address}.{os.urandom(4).hex()}" if self.kind == "unixgram" else None
            self.socket = datagram_socket(address, own)
            self.socket.connect(address)
        self.socket.sendall(request)

    def answer(self) -> bytes:
        """The whole answer of the server; empty if it resets the connection."""
        if self.socket.type == socket.SOCK_DGRAM:
            return self.socket.recv(1000)
        try:
            return receive_all(self.socket)
        except ConnectionError:
            return b""


@contextlib.contextmanager
def clients(count: int, *servers: Any) -> Iterator[list[Client]]:
    """Clients that wait, *count* for each server; the request of each is its number."""
    with contextlib.ExitStack() as stack:
        waiting = []
        for server in servers:
            for number in range(count):
                waiting.append(Client(server, b"%d" % number))
                stack.enter_context(waiting[-1].socket)
        yield waiting


def ask(server: Any, request: bytes = b"?") -> bytes:
    """Send one request to a server and return the answer."""
    client = Client(server, request)
    with client.socket:
        return client.answer()
