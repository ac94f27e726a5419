"""The interface of the strategies; forking, reaping, deadlines and limits are common to all."""

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

    The caller uses the attributes, the two parts, and the methods.

    A derived class creates `dispatcher` and `listeners` in `__init__()`, and defines
    `persistent()`, `last_order()` and `source()`. It sets the attributes below if they differ.
    """

    has_siblings = False
    """Whether it binds more sockets to the server's port, which must allow this when bound."""

    workers_take = False
    """Whether workers take requests from the backlog, and empty it when the server stops; if false,
    the master does."""

    hands_over = False
    """Whether the master takes and verifies requests and then hands them to workers, which do not
    verify them again."""

    requests_at_most: int | None = None
    """Maximum number of requests of a persistent worker; `None`: as the settings say."""

    dispatcher: Dispatcher
    listeners: Listeners

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        self.server = server
        self.pool = pool

    @classmethod
    def variant(cls, settings: Settings) -> type[Strategy]:
        """Return the class that implements the other settings; by default, this class."""
        return cls

    def persistent(self, most: int) -> int:
        """Return how many persistent workers to keep, if `most` are allowed."""
        raise NotImplementedError

    def last_order(self) -> Message:
        """Return the order that workers are sent when the loop has ended."""
        raise NotImplementedError

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        """Return the source of a persistent worker's requests; called in the worker."""
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
        """Close what belongs to the master in a forked child."""
        self.dispatcher.close_in_child()
        self.listeners.close_in_child()
