"""A request's way into a process of its own: given away here, served there."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import prefork.socketserver as api


class HandingOver:
    """Closes the request here once a child has it; saying goodbye on it is the child's part.

    Also when Ctrl-C comes in between: who cleans up after that would say goodbye for the child. An
    `Exception` means that there is no child.
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

    Returns the exit status, 0 only if the request was served. An exception that is no `Exception`
    stays silent, as do errors after the end: there is nobody to report them to.
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
    """Drop a forked child's copy of the listener.

    A listener that lives on in a child keeps the port taken, and takes in clients whom nobody will
    serve. A fresh socket goes into its place: the handler may still look at `server.socket`. A
    datagram socket stays, for the answer goes out through it, and so does a listener that is itself
    the request.
    """
    listener = getattr(server, "socket", None)
    if listener is None or listener is request or not is_listening(listener):
        return
    release_socket(listener)


def release_socket(sock: Any) -> None:
    """Drop this process's copy of a socket; a fresh one goes into its place, where there can be."""
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
