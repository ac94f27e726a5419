"""What the layer above provides so that a worker can take a request and serve it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from prefork.workers.in_flight import InFlight

Taker = Callable[[], tuple[Any, Any]]
"""Gives `(request, client_address)`; raises `BlockingIOError` when none is waiting, another
`OSError` when taking it failed."""


PassedFds = tuple[tuple[int, int], ...]
"""Listeners of the master's that are one worker's own: which of the server's listeners it is like,
by its number, and the descriptor."""


class Listener(Protocol):
    """One listener of a server, and how requests are taken from it."""

    def fileno(self) -> int:
        """The descriptor on which requests arrive, -1 once it is closed."""

    def backlog(self) -> int:
        """How many connections may wait there."""

    def take_from(self, listener: int) -> None:
        """Let `fileno()` mean this listener from now on; both descriptors stay open."""

    def taker(self) -> Taker:
        """What takes a waiting request; it never waits for one."""

    def takes_at_once(self) -> bool:
        """Whether taking a request is over at once; otherwise it may last (a TLS handshake)."""

    def tries_cheaply(self) -> bool:
        """Whether to try costs less than to ask first whether there is a request."""


class ServerInWorker(Protocol):
    """One server object, as its workers see it."""

    def listeners(self) -> Sequence[Listener]:
        """Where its requests arrive: at one place, or with a group of servers at several."""

    def enter(self, in_flight: InFlight | None, ask_stop: Callable[[], object]) -> None:
        """This process is a worker from now on.

        Requests are counted in `in_flight`, if there is one; `ask_stop()` tells the master that a
        handler wants the end of the whole server, from any thread.
        """

    def close_foreign_listeners(self) -> None:
        """This process lives on beside the workers: drop what belongs to other servers."""

    def started(self) -> None:
        """Run what the application wants done in each new worker."""

    def promoted(self) -> None:
        """This process, forked from a worker, is none any more: workers will be forked from it.

        Runs what the application wants done then.
        """

    def leaving(self) -> None:
        """Run what the application wants done before a worker ends."""

    def serve(self, request: Any, client_address: Any) -> None:
        """Serve a request that was taken, or begin to, if requests have threads of their own.

        Errors: what is not an `Exception`, and what no hook may raise, ends the worker.
        """

    def unpack(self, packed: bytes, fd: int | None) -> tuple[Any, Any]:
        """The request, and whose it is, that the master has packed."""

    def serve_verified(self, request: Any, client_address: Any) -> None:
        """The same as `serve()` for a request that was verified before it came here."""

    def release_listener(self) -> None:
        """Drop this process's copy of it: it will never take a request itself."""

    def serve_one(self, request: Any, client_address: Any, whole: bool) -> int:
        """Serve the one request that this worker was forked for; its exit status.

        `whole`: with `process_request()`, which the master has left out.
        """

    def drop(self, request: Any) -> None:
        """Close a request that nobody is going to serve."""

    def stop_asked(self) -> bool:
        """Whether a handler has set the server's private flag since the last call."""
