"""Presents any server object with the documented hooks to the pool: to the master as its
`ServerInMaster`, to a worker as its `ServerInWorker`."""

from __future__ import annotations

import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import prefork.socketserver as api
from prefork.linux.listeners import Borrowed
from prefork.settings import Settings
from prefork.socketserver.in_child import (
    release_listener,
    release_socket,
    serve_in_child,
)
from prefork.socketserver.loop import members_of, serve_taken, serve_verified
from prefork.socketserver.pool.packing import pack, unpack
from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import PackedRequest
from prefork.workers.server_in_worker import Listener, Taker


class Adapter:
    """One server object; every hook is looked up on it when it is needed."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._state = vars(server)
        note_pool(server)

    # -- for the master ----------------------------------------------------------------------

    def settings(self) -> Settings:
        settings: Settings = self._server.prefork_settings
        return settings

    def max_children(self) -> int:
        return max(1, int(self._server.max_children))

    def backlog(self) -> int:
        return int(getattr(self._server, "request_queue_size", 0))

    def threads(self) -> int | None:
        return self.settings().threads if self._server._prefork_has_threads() else None

    def daemon_threads(self) -> bool:
        return bool(getattr(self._server, "daemon_threads", False))

    def pack(self, request: Any, client_address: Any) -> PackedRequest | None:
        return pack(self._server, request, client_address)

    def close_in_child(self) -> None:
        self._state.pop("_prefork_master", None)
        run = self._state.pop("_BaseServer__run", None)
        if run is not None:
            run.wakeup.forget()

    def workers_changed(self, pids: set[int]) -> None:
        self._server.active_children = pids

    def stop(self) -> None:
        self._server._BaseServer__shutdown_request = True
        if (run := self._state.get("_BaseServer__run")) is not None:
            run.wakeup.notify()

    def serves_forever(self) -> bool:
        return threading.get_ident() not in self._state.get("_prefork_single", ())

    # -- for a worker ------------------------------------------------------------------------

    def close_foreign_listeners(self) -> None:
        ours = [getattr(one, "socket", None) for one in (self._server, *members_of(self._server))]
        for other in list(_pools.values()):
            sock = getattr(other, "socket", None)
            if all(sock is not one for one in ours):
                # This process lives on when that server closes: its port must become free.
                release_socket(sock)

    def enter(self, in_flight: InFlight | None, ask_stop: Callable[[], object]) -> None:
        self.close_foreign_listeners()
        self.end_loop()
        self._server._prefork_enter_worker(in_flight, ask_stop)

    def end_loop(self) -> None:
        """A handler's `shutdown()` must find nothing to wait for: the loop is the master's."""
        ended = self._state["_BaseServer__is_shut_down"] = threading.Event()
        ended.set()
        self._state["_BaseServer__shutdown_request"] = False

    def started(self) -> None:
        self._server.worker_started()

    def promoted(self) -> None:
        self._server._prefork_leave_worker()
        self._server.worker_promoted()

    def leaving(self) -> None:
        self._server.worker_leaving()

    def listeners(self) -> Sequence[Listener]:
        return (self,)

    def fileno(self) -> int:
        return int(self._server.fileno())

    def take_from(self, listener: int) -> None:
        # Under the same number, so that no object that refers to it has to know.
        os.dup2(listener, self._server.fileno(), inheritable=False)

    def taker(self) -> Taker:
        """The server's `get_request()`, such that it does not wait."""
        server = self._server
        sock: Any = getattr(server, "socket", None)
        if receives_plainly(server):
            return plain_receive(server)
        if sock is not None and sock.type == api.socket.SOCK_DGRAM:
            server.socket = datagrams = DatagramSource(sock)
            return datagrams.not_waiting(lambda: server.get_request())
        if sock is not None and sock.gettimeout():
            # It would wait that long inside accept(), deaf to orders.
            sock.settimeout(0)
        if takes_plainly(server):
            return plain_accept(sock)
        return lambda: server.get_request()

    def takes_at_once(self) -> bool:
        sock = getattr(self._server, "socket", None)
        return sock is not None and (
            sock.type == api.socket.SOCK_DGRAM or takes_plainly(self._server)
        )

    def tries_cheaply(self) -> bool:
        return receives_plainly(self._server)

    def serve(self, request: Any, client_address: Any) -> None:
        """The rules of `_handle_request_noblock()` for a request that was taken."""
        server = self._server
        serve_taken(server, request, client_address, server.process_request)

    def unpack(self, packed: bytes, fd: int | None) -> tuple[Any, Any]:
        return unpack(self._server, packed, fd)

    def serve_verified(self, request: Any, client_address: Any) -> None:
        server = self._server
        serve_verified(server, request, client_address, server.process_request)

    def release_listener(self) -> None:
        release_listener(self._server, None)

    def serve_one(self, request: Any, client_address: Any, whole: bool) -> int:
        server = self._server
        release_listener(server, request)
        if whole:
            serve_verified(server, request, client_address, server.process_request)
            return 0
        return serve_in_child(server, request, client_address)

    def drop(self, request: Any) -> None:
        self._server.shutdown_request(request)

    def stop_asked(self) -> bool:
        if not self._state.get("_BaseServer__shutdown_request"):
            return False
        self._state["_BaseServer__shutdown_request"] = False
        return True


_pools: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
"""The servers of this process that have a pool or will have one, by their `id()`."""


def note_pool(server: Any) -> None:
    """It has a listener, which is no business of other pools' workers."""
    _pools[id(server)] = server


def takes_plainly(server: Any) -> bool:
    """Whether taking a request is nothing but accept(2) on an ordinary socket."""
    listener = getattr(server, "socket", None)
    return is_documented(server, "get_request") and type(listener) is socket.socket


def plain_taker(server: Any) -> Taker | None:
    """What takes a request in the least time, and does not wait for one, if that is all that the
    server's `get_request()` does; while its listener is non-blocking."""
    if receives_plainly(server):
        return plain_receive(server)
    if takes_plainly(server) and not server.socket.gettimeout():
        return plain_accept(server.socket)
    return None


def receives_plainly(server: Any) -> bool:
    """Whether it is nothing but recvfrom(2) on an ordinary socket that has no time-out."""
    sock = getattr(server, "socket", None)
    documented = is_documented(server, "get_request", "UDPServer")
    return documented and type(sock) is socket.socket and sock.gettimeout() is None


def is_documented(server: Any, hook: str, kind: str = "TCPServer") -> bool:
    """Whether a hook is that of the documented class, here or in the standard library's module."""
    modules = (api, sys.modules.get("socketserver", api))
    own = getattr(type(server), hook)
    return hook not in vars(server) and any(
        own is getattr(getattr(module, kind), hook) for module in modules
    )


def plain_accept(listener: socket.socket) -> Taker:
    """`listener.accept()` at two thirds of its price.

    It asks the listener anew for family and type, and makes enums of them, for each connection.
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
    """`UDPServer.get_request()` such that it does not wait."""
    sock = server.socket
    # A time-out that a handler gives to the server's would be waited for here, deaf to orders. In a
    # mold this object goes, and the descriptor stays.
    own = Borrowed(sock.family, sock.type, sock.proto, sock.fileno())
    own.settimeout(None)
    receive = own.recvfrom

    def take() -> tuple[Any, Any]:
        data, client_address = receive(server.max_packet_size, _AT_ONCE)
        return (data, sock), client_address

    return take


_AT_ONCE = int(socket.MSG_DONTWAIT)  # the enum that it is costs more than the system call


class DatagramSource(socket.socket):
    """A pool's datagram socket in a worker: while `flags` says so, receiving does not wait.

    Making the socket itself non-blocking would make the handlers' `sendto()` fail when it must
    wait. A `get_request()` of anybody's finds it as `self.socket`.
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

        def take_in_no_time() -> tuple[Any, Any]:
            """With a time-out of its own, the socket would wait for that long first."""
            self.settimeout(0)
            try:
                return receive()
            finally:
                self.settimeout(patience)

        patience = self.gettimeout()
        return take if patience is None else take_in_no_time

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
