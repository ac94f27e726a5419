"""What a worker needs of a server to take requests and serve them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from prefork.workers.in_flight import InFlight

Taker = Callable[[], tuple[Any, Any]]
"""Takes a request and returns `(request, client_address)`; raises `BlockingIOError` if none is
waiting, and another `OSError` if taking it failed."""


PassedFds = tuple[tuple[int, int], ...]
"""Listeners of the master that only one worker keeps. Each is a pair: the number of the server's
listener that it is a sibling of, and the descriptor."""


class Listener(Protocol):
    """One listener of a server, and how requests are taken from it."""

    def fileno(self) -> int:
        """Return the descriptor on which requests arrive, -1 once it is closed."""

    def backlog(self) -> int:
        """Return the number of connections that may wait in the backlog."""

    def take_from(self, listener: int) -> None:
        """Make `fileno()` refer to this listener from now on; both descriptors stay open."""

    def taker(self) -> Taker:
        """Return the function that takes a waiting request; it never waits for one."""

    def takes_at_once(self) -> bool:
        """Return whether taking a request is immediate; a TLS handshake, for example, is not."""

    def tries_cheaply(self) -> bool:
        """Return whether trying costs less than first checking whether there is a request."""


class ServerInWorker(Protocol):
    """One server object, as its workers see it."""

    def listeners(self) -> Sequence[Listener]:
        """Return the listeners at which requests arrive: one, or those of a group of servers."""

    def enter(self, in_flight: InFlight | None, ask_stop: Callable[[], object]) -> None:
        """Make this process a worker.

        `in_flight`, if there is one, keeps track of the requests. `ask_stop()` tells the master
        that a handler wants to stop the whole server; it may be called in any thread.
        """

    def close_foreign_listeners(self) -> None:
        """Close the listeners of other servers, whose ports this process would keep busy."""

    def started(self) -> None:
        """Call the program's hook for a new worker."""

    def promoted(self) -> None:
        """Make this process, which was forked from a worker, a mold; call the program's hook."""

    def leaving(self) -> None:
        """Call the program's hook for a worker that exits."""

    def serve(self, request: Any, client_address: Any) -> None:
        """Serve a request that was taken; if each request has its own thread, start that thread.

        Errors: an exception that is not an `Exception`, or that a hook must not raise, ends the
        worker.
        """

    def unpack(self, packed: bytes, fd: int | None) -> tuple[Any, Any]:
        """Return the `(request, client_address)` that the master has packed."""

    def serve_verified(self, request: Any, client_address: Any) -> None:
        """Serve a request that the master has verified; otherwise like `serve()`."""

    def release_listener(self) -> None:
        """Close this process's copy of the listener, from which it never takes a request."""

    def serve_one(self, request: Any, client_address: Any, whole: bool) -> int:
        """Serve the one request that this worker was forked for; return the exit status.

        If `whole` is true, the master has only taken and verified the request, and this calls
        `process_request()`. Otherwise the master has already called it, and this process was forked
        inside it.
        """

    def drop(self, request: Any) -> None:
        """Close a request that will not be served."""

    def stop_asked(self) -> bool:
        """Return whether a handler has set the server's private stop flag since the last call."""
