"""Passing a request to a forked child, and serving it there."""

from __future__ import annotations

import contextlib
import os

import prefork.socketserver as api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class HandingOver:
    """Closes the parent's copy of a request that a child has; the child shuts it down.

    The copy is also closed if Ctrl-C interrupts the block: otherwise the cleanup that follows would
    shut down the connection while the child uses it. An `Exception` means that no child was forked.
    """

    __slots__ = ("_request", "_server")

    def __init__(self, server: Any, request: Any) -> None:
        self._server = server
        self._request = request

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, Exception):
            self._server.close_request(self._request)


def serve_in_child(server: Any, request: Any, client_address: Any) -> int:
    """Serve the one request that this process was forked for.

    Returns the exit status: 0 only if the request was served. An exception that is not an
    `Exception` is not reported, and neither is an error after the handler: no code is left to
    handle it.
    """
    status = 1
    try:
        server.finish_request(request, client_address)
        status = 0
    except Exception:
        with contextlib.suppress(BaseException):
            server.handle_error(request, client_address)
    except BaseException:
        pass
    with contextlib.suppress(BaseException):
        server.shutdown_request(request)
    return status


def release_listener(server: Any, request: Any) -> None:
    """Close a forked child's copy of the listener.

    A listener that stays open in a child keeps the port busy, and accepts connections that will
    never be served. A new socket takes its place: the handler may still use `server.socket`. A
    datagram socket stays open, because the answer is sent through it, and so does a listener that
    is itself the request.
    """
    listener = getattr(server, "socket", None)
    if listener is None or listener is request or not is_listening(listener):
        return
    release_socket(listener)


def release_socket(sock: Any) -> None:
    """Close this process's copy of a socket, and replace it by a new socket if possible."""
    if sock is None or sock.fileno() < 0:
        return
    try:
        with api.socket.socket(sock.family, sock.type) as blank:
            os.dup2(blank.fileno(), sock.fileno(), inheritable=False)
    except OSError:  # out of descriptors
        sock.close()


def is_listening(sock: Any) -> bool:
    try:
        return bool(sock.getsockopt(api.socket.SOL_SOCKET, api.socket.SO_ACCEPTCONN))
    except (OSError, AttributeError):
        return False
