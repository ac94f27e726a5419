"""What the master and a worker see of a server.

The adapter presents any object with the documented hooks as a `ServerInMaster` to the master, and
as a `ServerInWorker` to a worker.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import prefork.socketserver as api
from prefork.settings import Settings
from prefork.socketserver.in_child import (
    release_listener,
    release_socket,
    serve_in_child,
)
from prefork.socketserver.loop import members_of, serve_taken, serve_verified
from prefork.socketserver.pool.packing import pack, unpack
from prefork.socketserver.pool.taking import (
    DatagramSource,
    plain_accept,
    plain_receive,
    receives_plainly,
    takes_plainly,
)
from prefork.socketserver.state import state_of
from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.messages import PackedRequest
from prefork.workers.server_in_worker import Listener, Taker


class Adapter:
    """Adapts one server object; every hook is looked up on it when it is called."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._attributes = vars(server)
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
        threads: int | None = self._server.prefork_threads()
        return threads

    def daemon_threads(self) -> bool:
        return bool(getattr(self._server, "daemon_threads", False))

    def pack(self, request: Any, client_address: Any) -> PackedRequest | None:
        return pack(self._server, request, client_address)

    def close_in_child(self) -> None:
        state = state_of(self._server)
        state.master = None
        run, state.run = state.run, None
        if run is not None:
            run.wakeup.forget()

    def workers_changed(self, pids: set[int]) -> None:
        self._server.active_children = pids

    def stop(self) -> None:
        self._server._BaseServer__shutdown_request = True
        if (run := state_of(self._server).run) is not None:
            run.wakeup.notify()

    def serves_forever(self) -> bool:
        return threading.get_ident() not in state_of(self._server).one_request_threads

    # -- for a worker ------------------------------------------------------------------------

    def close_foreign_listeners(self) -> None:
        ours = [getattr(one, "socket", None) for one in (self._server, *members_of(self._server))]
        for other in list(_pools.values()):
            sock = getattr(other, "socket", None)
            if all(sock is not one for one in ours):
                # This process may outlive that server, whose port must become free.
                release_socket(sock)

    def enter(self, in_flight: InFlight | None, ask_stop: Callable[[], object]) -> None:
        self.close_foreign_listeners()
        self.end_loop()
        self._server._prefork_enter_worker(in_flight, ask_stop)

    def end_loop(self) -> None:
        """Make a handler's `shutdown()` return at once: the loop runs in the master, not here."""
        ended = self._attributes["_BaseServer__is_shut_down"] = threading.Event()
        ended.set()
        self._attributes["_BaseServer__shutdown_request"] = False

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
        # Under the same number, so that objects that refer to it need no change.
        os.dup2(listener, self._server.fileno(), inheritable=False)

    def taker(self) -> Taker:
        """Return the server's `get_request()` in a form that does not wait."""
        server = self._server
        sock: Any = getattr(server, "socket", None)
        if receives_plainly(server):
            return plain_receive(server)
        if sock is not None and sock.type == api.socket.SOCK_DGRAM:
            server.socket = datagrams = DatagramSource(sock)
            return datagrams.not_waiting(lambda: server.get_request())
        if sock is not None and sock.gettimeout():
            # accept() would wait that long, and the worker would not read orders.
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
        """Serve a request that was taken, like `_handle_request_noblock()` does."""
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
        if not self._attributes.get("_BaseServer__shutdown_request"):
            return False
        self._attributes["_BaseServer__shutdown_request"] = False
        return True


_pools: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
"""The servers of this process that have, or will have, a pool; by `id()`."""


def note_pool(server: Any) -> None:
    """Note that the server has a listener, which workers of other pools must close."""
    _pools[id(server)] = server
