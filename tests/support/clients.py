"""The other side of a request: small clients with deadlines."""

import socket
from typing import Any

from tests.support.deadlines import EXCHANGE


def connect(address: Any) -> socket.socket:
    """A stream connection to an address as servers report it: a tuple, or a Unix path or name."""
    if isinstance(address, str | bytes):
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM)
    try:
        client.settimeout(EXCHANGE)
        client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


def receive_all(client: socket.socket) -> bytes:
    """Everything up to the end of the stream."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def ask(address: Any, request: bytes = b"") -> bytes:
    """Connect, send *request*, say that this was all, and return the whole answer."""
    with connect(address) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return receive_all(client)


def datagram_socket(address: Any, own_path: str | None = None) -> socket.socket:
    """A socket that can send datagrams to *address* and hear the answers.

    Over Unix sockets there is an answer only for a client that is bound: *own_path*.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(EXCHANGE)
    if own_path is not None:
        client.bind(own_path)
    elif family == socket.AF_INET:
        client.bind(("127.0.0.1", 0))
    return client
