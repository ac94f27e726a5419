"""Presents any server object with the documented hooks to the pool: to the master as its `Host`, to
a worker as its `Service`."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import prefork.socketserver as api
from prefork.settings import Settings
from prefork.socketserver.loop import serve_taken
from prefork.socketserver.mixins import let_go_of_listener, serve_in_child
from prefork.workers.room import Room


class Adapter:
    """One server object; every hook is looked up on it when it is needed."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._state = vars(server)
        self._datagrams: DatagramSource | None = None

    # -- for the master ----------------------------------------------------------------------

    def settings(self) -> Settings:
        settings: Settings = self._server.prefork_settings
        return settings

    def max_children(self) -> int:
        return int(self._server.max_children)

    def backlog(self) -> int:
        return int(getattr(self._server, "request_queue_size", 0))

    def threads(self) -> int | None:
        return self.settings().threads if self._server._prefork_has_threads() else None

    def may_cut_off(self) -> bool:
        return bool(getattr(self._server, "daemon_threads", False))

    def let_go(self) -> None:
        run = self._state.pop("_BaseServer__run", None)
        if run is not None:
            run.wakeup.close()

    def workers_changed(self, pids: set[int]) -> None:
        self._server.active_children = pids

    def stop(self) -> None:
        self._server._BaseServer__shutdown_request = True

    # -- for a worker ------------------------------------------------------------------------

    def enter(self, room: Room | None) -> None:
        # A handler's shutdown() must find nothing to wait for: the loop that ends is the master's.
        ended = self._state["_BaseServer__is_shut_down"] = threading.Event()
        ended.set()
        self._state["_BaseServer__shutdown_request"] = False
        self._server._prefork_enter_worker(room)
        sock = getattr(self._server, "socket", None)
        if sock is None:
            return
        if sock.type == api.socket.SOCK_DGRAM:
            self._datagrams = self._server.socket = DatagramSource(sock)
        elif sock.gettimeout():
            # It would wait that long inside accept(), deaf to orders.
            sock.settimeout(0)

    def started(self) -> None:
        self._server.worker_started()

    def leaving(self) -> None:
        self._server.worker_leaving()

    def fileno(self) -> int:
        return int(self._server.fileno())

    def take(self) -> tuple[Any, Any]:
        if self._datagrams is None:
            taken: tuple[Any, Any] = self._server.get_request()
            return taken
        self._datagrams.flags = api.socket.MSG_DONTWAIT
        try:
            taken = self._server.get_request()
            return taken
        finally:
            self._datagrams.flags = 0

    def serve(self, request: Any, client_address: Any) -> None:
        """The rules of `_handle_request_noblock()` for a request that was taken."""
        serve_taken(self._server, request, client_address)

    def serve_one(self, request: Any, client_address: Any) -> int:
        server = self._server
        let_go_of_listener(server, request)
        return serve_in_child(server, request, client_address)

    def drop(self, request: Any) -> None:
        self._server.shutdown_request(request)

    def stop_asked(self) -> bool:
        if not self._state.get("_BaseServer__shutdown_request"):
            return False
        self._state["_BaseServer__shutdown_request"] = False
        return True


class DatagramSource(socket.socket):
    """A pool's datagram socket in a worker: while `flags` says so, receiving does not wait.

    Making the socket itself non-blocking would make the handlers' `sendto()` fail when it must
    wait. A `get_request()` of anybody's finds it as `self.socket`.
    """

    flags = 0

    def __init__(self, shared: socket.socket) -> None:
        super().__init__(shared.family, shared.type, shared.proto, fileno=os.dup(shared.fileno()))

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
