"""Small clients with deadlines."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from tests.support.deadlines import EXCHANGE, stretched


def connect(address: Any) -> socket.socket:
    """A stream connection to an address as servers report it: a tuple, or a Unix path or name."""
    client = socket.socket(_family_of(address), socket.SOCK_STREAM)
    try:
        client.settimeout(stretched(EXCHANGE))
        client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


@contextlib.contextmanager
def connections(address: Any, count: int) -> Iterator[list[socket.socket]]:
    """Open *count* connections for the length of the block."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(address)) for _ in range(count)]


def receive_all(client: socket.socket) -> bytes:
    """Return everything up to the end of the stream."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def ask(address: Any, request: bytes = b"") -> bytes:
    """Connect, send *request*, shut down the sending side, and return the whole answer."""
    with connect(address) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return receive_all(client)


def datagram_socket(address: Any, own_path: str | None = None) -> socket.socket:
    """A socket that can send datagrams to *address* and receive the answers.

    Over Unix sockets only a client that is bound, to *own_path*, can be answered.
    """
    family = _family_of(address)
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(stretched(EXCHANGE))
    if own_path is not None:
        client.bind(own_path)
    elif family == socket.AF_INET:
        client.bind(("127.0.0.1", 0))
    return client


def _family_of(address: Any) -> socket.AddressFamily:
    if isinstance(address, str | bytes):
        return socket.AF_UNIX
    return socket.AF_INET6 if len(address) == 4 else socket.AF_INET
