"""Packs a request as bytes and a descriptor, to pass it from the master to a worker."""

from __future__ import annotations

import errno
import marshal
import os
import socket
from collections.abc import Callable
from typing import Any

import prefork.socketserver as api
from prefork.workers.protocol.messages import PackedRequest

# The integers behind the properties of `socket.socket`, which convert them to enums.
_family: Callable[[socket.socket], int] = vars(socket.SocketType)["family"].__get__
_type: Callable[[socket.socket], int] = vars(socket.SocketType)["type"].__get__


def pack(server: Any, request: Any, client_address: Any) -> PackedRequest | None:
    """Pack a request; return `None` if it is more than bytes and a descriptor.

    A plain socket other than the server's can be packed, and so can a datagram from the server's
    socket, each with an address made of plain values. A TLS connection, for example, cannot.

    Errors: `OSError` (EBADF) if the request is already closed, for example by `verify_request()`.
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
    except (TypeError, ValueError):  # not a pair, or a type that marshal does not know
        pass
    return None


def unpack(server: Any, packed: bytes, fd: int | None) -> tuple[Any, Any]:
    """Return the `(request, client_address)` that was packed.

    Errors: `OSError` (EMFILE) if the descriptor was lost: this process has reached its limit of
    descriptors, and the kernel closes what it cannot pass (unix(7)).
    """
    client_address, content, timeout = marshal.loads(packed)
    if type(content) is bytes:
        return (content, server.socket), client_address
    if fd is None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    # Part of the packed request: asking the kernel for them takes four system calls.
    family, kind, protocol = content
    request = api.socket.socket(family, kind, protocol, fd)
    if timeout is not None or api.socket.getdefaulttimeout() is not None:
        request.settimeout(timeout)
    return request, client_address
