"""A request on its way from the master to a worker: as bytes, and a descriptor."""

from __future__ import annotations

import errno
import marshal
import os
from typing import Any

import prefork.socketserver as api
from prefork.workers.channel import Parcel


def pack(server: Any, request: Any, client_address: Any) -> Parcel | None:
    """`None` for a request that is more than bytes and a descriptor: a TLS connection, say.

    What travels is a plain socket other than the server's own, or a datagram of that one; and an
    address made of plain values.
    """
    try:
        if type(request) is api.socket.socket and request is not server.socket:
            return marshal.dumps((client_address, request.gettimeout())), request.fileno()
        data, sock = request
        if type(data) is bytes and sock is server.socket:
            return marshal.dumps((client_address, data)), None
    except (TypeError, ValueError):  # no pair; nothing that marshal knows
        pass
    return None


def unpack(server: Any, parcel: bytes, fd: int | None) -> tuple[Any, Any]:
    """The request, and whose it is.

    Errors: `OSError` (EMFILE) when the descriptor was lost: this process has no room for it, and
    the kernel closes what it cannot hand over (unix(7)).
    """
    client_address, rest = marshal.loads(parcel)
    if type(rest) is bytes:
        return (rest, server.socket), client_address
    if fd is None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    request = api.socket.socket(fileno=fd)
    if rest is not None or api.socket.getdefaulttimeout() is not None:
        request.settimeout(rest)
    return request, client_address
