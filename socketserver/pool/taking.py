"""Takes requests without waiting: in a worker, or in the master with `handoff`."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

import prefork.socketserver as api
from prefork.linux.listening_sockets import Borrowed
from prefork.workers.server_in_worker import Taker


def takes_plainly(server: Any) -> bool:
    """Return whether taking a request is only accept(2) on an ordinary socket."""
    listener = getattr(server, "socket", None)
    return is_documented(server, "get_request") and type(listener) is socket.socket


def plain_taker(server: Any) -> Taker | None:
    """Return the cheapest function that takes a request without waiting.

    `None` if the server's `get_request()` does anything else, or its listener is blocking.
    """
    if receives_plainly(server):
        return plain_receive(server)
    if takes_plainly(server) and not server.socket.gettimeout():
        return plain_accept(server.socket)
    return None


def receives_plainly(server: Any) -> bool:
    """Return whether taking a request is only recvfrom(2) on a socket without a timeout."""
    sock = getattr(server, "socket", None)
    documented = is_documented(server, "get_request", "UDPServer")
    return documented and type(sock) is socket.socket and sock.gettimeout() is None


def is_documented(server: Any, hook: str, kind: str = "TCPServer") -> bool:
    """Return whether a hook is that of the documented class, here or in the standard library."""
    modules = (api, sys.modules.get("socketserver", api))
    own = getattr(type(server), hook)
    return hook not in vars(server) and any(
        own is getattr(getattr(module, kind), hook) for module in modules
    )


def plain_accept(listener: socket.socket) -> Taker:
    """Return a function that does the same as `listener.accept()` at two thirds of its cost.

    The method converts the listener's family and type to enums for each connection.
    """
    accept = getattr(listener, "_accept", None)
    if accept is None:
        return listener.accept
    family, kind = int(listener.family), int(listener.type)
    new = socket.socket

    def take() -> tuple[Any, Any]:
        fd, address = accept()
        return new(family, kind, 0, fd), address

    return take


def plain_receive(server: Any) -> Taker:
    """Return `UDPServer.get_request()` in a form that does not wait."""
    sock = server.socket
    # A timeout that a handler sets on the server's socket object would apply here, and the worker
    # would not read orders for that long. A mold drops this object; the descriptor stays open.
    own = Borrowed(sock.family, sock.type, sock.proto, sock.fileno())
    own.settimeout(None)
    receive = own.recvfrom

    def take() -> tuple[Any, Any]:
        data, client_address = receive(server.max_packet_size, _AT_ONCE)
        return (data, sock), client_address

    return take


_AT_ONCE = int(socket.MSG_DONTWAIT)  # as an enum it would cost more than the system call


class DatagramSource(socket.socket):
    """A pool's datagram socket in a worker; its receive methods do not wait while `flags` is set.

    If the socket itself were non-blocking, a handler's `sendto()` would fail when it has to wait.
    If a program overrides `get_request()`, that method finds this object as `self.socket`.
    """

    flags = 0

    def __init__(self, shared: socket.socket) -> None:
        super().__init__(shared.family, shared.type, shared.proto, fileno=os.dup(shared.fileno()))
        if shared.gettimeout() is not None:
            self.settimeout(shared.gettimeout())

    def not_waiting(self, receive: Taker) -> Taker:
        def take() -> tuple[Any, Any]:
            self.flags = _AT_ONCE
            try:
                return receive()
            finally:
                self.flags = 0

        def take_without_timeout() -> tuple[Any, Any]:
            """Clear the socket's timeout, which would apply before the flag."""
            self.settimeout(0)
            try:
                return receive()
            finally:
                self.settimeout(timeout)

        timeout = self.gettimeout()
        return take if timeout is None else take_without_timeout

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        return super().recv(bufsize, flags | self.flags)

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        return super().recvfrom(bufsize, flags | self.flags)

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:
        return super().recvmsg(bufsize, ancbufsize, flags | self.flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return super().recv_into(buffer, nbytes, flags | self.flags)

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        return super().recvfrom_into(buffer, nbytes, flags | self.flags)
