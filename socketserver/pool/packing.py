"""A request on its way from the master to a worker: as bytes, and a descriptor."""

from __future__ import annotations

import errno
import marshal
import os
import socket
from collections.abc import Callable
from typing import Any

import prefork.socketserver as api
from prefork.workers.protocol.channel import PackedRequest

# As numbers: what `socket.socket` says of itself, it makes enums of.
_family: Callable[[socket.socket], int] = vars(socket.SocketType)["family"].__get__
_type: Callable[[socket.socket], int] = vars(socket.SocketType)["type"].__get__


def pack(server: Any, request: Any, client_address: Any) -> PackedRequest | None:
    """`None` for a request that is more than bytes and a descriptor: a TLS connection, say.

    What travels is a plain socket other than the server's own, or a datagram of that one; and an
    address made of plain values.

    Errors: `OSError` (EBADF) when it is closed already: by `verify_request()`, say.
    """
    try:
        if type(request) is api.socket.socket and request is not server.socket:
            if (fd := request.fileno()) < 0:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            kind = _family(request), _type(request), request.proto
            return marshal.dumps((client_address, kind, request.gettimeout())), fd
        data, sock = request
        if type(data) is bytes and sock is server.socket:
            return marshal.dumps((client_address, data, None)), None
    except (TypeError, ValueError):  # no pair; nothing that marshal knows
        pass
    return None


def unpack(server: Any, packed: bytes, fd: int | None) -> tuple[Any, Any]:
    """The request, and whose it is.

    Errors: `OSError` (EMFILE) when the descriptor was lost: this process has no room for it, and
    the kernel closes what it cannot hand over (unix(7)).
    """
    client_address, content, timeout = marshal.loads(packed)
    if type(content) is bytes:
        return (content, server.socket), client_address
    if fd is None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    # The kernel could be asked for the kind of socket, by four system calls.
    family, kind, protocol = content
    request = api.socket.socket(family, kind, protocol, fd)
    if timeout is not None or api.socket.getdefaulttimeout() is not None:
        request.settimeout(timeout)
    return request, client_address
