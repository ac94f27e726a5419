"""A request on its way from the master to a worker: as bytes, and a descriptor."""

from __future__ import annotations

import marshal
from typing import Any

import prefork.socketserver as api
from prefork.workers.channel import Parcel


def pack(server: Any, request: Any, client_address: Any) -> Parcel | None:
    """`None` for a request that is more than bytes and a descriptor: a TLS connection, say.

    What travels is a plain socket other than the server's own, or a datagram of that one; and an
    address made of plain values.
    """
    fd: int | None = None
    try:
        if type(request) is api.socket.socket and request is not server.socket:
            fd, rest = request.fileno(), request.gettimeout()
        else:
            rest, sock = request
            if type(rest) is not bytes or sock is not server.socket:
                return None
        return marshal.dumps((client_address, rest)), fd
    except (TypeError, ValueError):  # no pair; nothing that marshal knows
        return None


def unpack(server: Any, parcel: bytes, fd: int | None) -> tuple[Any, Any]:
    """The request, and whose it is."""
    client_address, rest = marshal.loads(parcel)
    if fd is None:
        return (rest, server.socket), client_address
    request = api.socket.socket(fileno=fd)
    if rest is not None:
        request.settimeout(rest)
    return request, client_address
