"""What the strategies differ in. Forking, reaping, deadlines and limits are the same for all."""

from __future__ import annotations

from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.dispatcher import Dispatcher
from prefork.master.strategies.listeners import Listeners
from prefork.settings import Settings
from prefork.state.worker_table import WorkerTable
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.messages import Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source


class Strategy:
    """Which process takes a request and how it reaches a worker; one object for each run.

    For the caller: the attributes, the two parts, and the methods.

    For derived classes: `__init__()` makes `dispatcher` and `listeners`. `persistent()`,
    `last_order()` and `source()` are to be defined; the attributes below, where they differ.
    """

    has_siblings = False
    """Whether other sockets are bound to the server's port, which must allow it from the start."""

    workers_take = False
    """Whether workers take requests from the backlog, and empty it at the end. Otherwise the master
    does."""

    hands_over = False
    """Whether the master takes requests and hands them to workers, which verify nothing again but
    do all the rest."""

    requests_at_most: int | None = None
    """Requests that a persistent worker may serve; `None`: as the settings say."""

    dispatcher: Dispatcher
    listeners: Listeners

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        self.server = server
        self.pool = pool

    @classmethod
    def variant(cls, settings: Settings) -> type[Strategy]:
        """Return the class that does what the other settings say; this one, for most strategies."""
        return cls

    def persistent(self, most: int) -> int:
        """Return how many persistent workers to keep, of `most` allowed."""
        raise NotImplementedError

    def last_order(self) -> Message:
        """Return what a worker is told when the loop has ended."""
        raise NotImplementedError

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        """Return where a persistent worker gets its requests; called in the worker."""
        raise NotImplementedError

    def begin(self) -> None:
        """Note that the loop begins."""
        self.dispatcher.begin()
        self.listeners.begin()

    def end(self) -> None:
        """Note that the loop has ended: workers finish, and the backlog is emptied."""
        self.listeners.end()

    def close(self) -> None:
        """Close all descriptors; no worker is left."""
        self.dispatcher.close()
        self.listeners.close()

    def close_in_child(self) -> None:
        """In a forked child: close what belongs to the master."""
        self.dispatcher.close_in_child()
        self.listeners.close_in_child()
