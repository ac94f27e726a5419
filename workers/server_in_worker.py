"""What a worker needs of a server to take requests and serve them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from prefork.workers.in_flight import InFlight

Taker = Callable[[], tuple[Any, Any]]
"""Takes a request and returns `(request, client_address)`; raises `BlockingIOError` when none is
waiting, another `OSError` when taking it failed."""


PassedFds = tuple[tuple[int, int], ...]
"""Listeners of the master that one worker keeps for itself: pairs of the number of the server's
listener that each is a sibling of, and the descriptor."""


class Listener(Protocol):
    """One listener of a server, and how requests are taken from it."""

    def fileno(self) -> int:
        """Return the descriptor on which requests arrive, -1 once it is closed."""

    def backlog(self) -> int:
        """Return how many connections may wait in the backlog."""

    def take_from(self, listener: int) -> None:
        """Make `fileno()` refer to this listener from now on; both descriptors stay open."""

    def taker(self) -> Taker:
        """Return the function that takes a waiting request; it never waits for one."""

    def takes_at_once(self) -> bool:
        """Return whether taking a request is immediate; a TLS handshake, for example, is not."""

    def tries_cheaply(self) -> bool:
        """Return whether a try costs less than first asking whether there is a request."""


class ServerInWorker(Protocol):
    """One server object, as its workers see it."""

    def listeners(self) -> Sequence[Listener]:
        """Return the listeners where requests arrive: one, or those of a group of servers."""

    def enter(self, in_flight: InFlight | None, ask_stop: Callable[[], object]) -> None:
        """Make this process a worker.

        Requests are counted in `in_flight`, if there is one. `ask_stop()` tells the master that a
        handler wants to stop the whole server; it may be called in any thread.
        """

    def close_foreign_listeners(self) -> None:
        """Close the listeners of other servers, whose ports this process would keep busy."""

    def started(self) -> None:
        """Call the program's hook for a new worker."""

    def promoted(self) -> None:
        """Make this process, forked from a worker, a mold; call the program's hook for it."""

    def leaving(self) -> None:
        """Call the program's hook for the end of a worker."""

    def serve(self, request: Any, client_address: Any) -> None:
        """Serve a request that was taken, or start to, if requests have threads of their own.

        Errors: an exception that is not an `Exception`, and one that a hook may not raise, ends
        the worker.
        """

    def unpack(self, packed: bytes, fd: int | None) -> tuple[Any, Any]:
        """Return the `(request, client_address)` that the master has packed."""

    def serve_verified(self, request: Any, client_address: Any) -> None:
        """Serve a request that the master has verified; otherwise the same as `serve()`."""

    def release_listener(self) -> None:
        """Close this process's copy of the listener: it never takes a request itself."""

    def serve_one(self, request: Any, client_address: Any, whole: bool) -> int:
        """Serve the one request that this worker was forked for; return the exit status.

        `whole`: including `process_request()`, which the master has left out.
        """

    def drop(self, request: Any) -> None:
        """Close a request that will not be served."""

    def stop_asked(self) -> bool:
        """Return whether a handler has set the server's private stop flag since the last call."""
