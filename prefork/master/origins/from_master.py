"""Where a persistent worker's memory comes from: from which process it is forked.

A worker that is forked for one request has the master's, whatever the choice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from prefork.linux.fork import double_fork
from prefork.linux.strays import end_strays
from prefork.linux.syscalls import System
from prefork.master.children import Children
from prefork.master.server_view import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.state.reports import warn_of_threads
from prefork.state.worker_table import WorkerRecord
from prefork.workers.factory import WorkerFactory
from prefork.workers.main import WorkerConfig, WorkerContext, serve_many, serve_one
from prefork.workers.protocol.exit_codes import Death, ProcessMain
from prefork.workers.server_in_worker import PassedFds


class Origin:
    """One for each run of a pool. Here: every worker is forked from the master (`fork`)."""

    generation = 0
    """How often the pool was renewed; workers that are forked now belong to it."""

    def __init__(
        self, server: ServerInMaster, strategy: Strategy, children: Children, system: System
    ) -> None:
        self.server = server
        self.strategy = strategy
        self.children = children
        self.system = system
        self._warned = False

    def fork(
        self, live: Callable[[WorkerContext], int | ProcessMain], *, persistent: bool = False
    ) -> WorkerRecord:
        """Fork a worker from the master.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        if not self._warned:
            self._warned = True
            warn_of_threads()
        return self.entered(self.children.fork(self.config(persistent), live))

    def fork_for_request(self, request: Any, client_address: Any) -> WorkerRecord:
        """Fork a worker, always from the master, for a request that the master has taken.

        Errors: those of `fork()`.
        """
        server = self.server
        whole = self.strategy.hands_over and server.threads() is None
        return self.fork(lambda context: serve_one(server, context, request, client_address, whole))

    def fork_persistent(self, passed_fds: PassedFds) -> WorkerRecord:
        """Fork a persistent worker from where they come from, with the descriptors `passed_fds` to
        it.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        return self.fork(lambda context: self._live(context, passed_fds), persistent=True)

    def tick(self, wanted: int) -> list[WorkerRecord]:
        """Decide what is due in a pool of `wanted` workers; those to retire now."""
        return []

    def next_timeout(self, wanted: int) -> float | None:
        """Seconds until the clock alone makes a `tick()` necessary."""
        return None

    def note_death(self, record: WorkerRecord, death: Death) -> None:
        """A worker has ended, and is collected."""
        if record.may_fork and death.is_violent:
            end_strays(record.pid)

    def end(self) -> None:
        """No more persistent workers are wanted."""

    def close_in_child(self) -> None:
        """In a forked child: drop what belongs to the master."""

    def entered(self, record: WorkerRecord) -> WorkerRecord:
        """Note what is to be known of a worker that was entered in the pool."""
        record.may_stop = self.server.serves_forever()
        record.generation = self.generation
        self.server.workers_changed(self.strategy.pool.pids())
        return record

    def config(self, persistent: bool) -> WorkerConfig:
        server, settings = self.server, self.server.settings()
        limit = self.strategy.requests_at_most
        return WorkerConfig(
            gc_freeze=settings.gc_freeze,
            number=self.strategy.pool.free_slot(),
            persistent=persistent,
            threads=server.threads() if persistent else None,
            daemon_threads=server.daemon_threads(),
            max_requests=settings.drawn_max_requests() if limit is None else limit,
            name=settings.name,
            process_titles=settings.process_titles,
        )

    def factory(self) -> WorkerFactory:
        """What persistent workers are made of."""
        return WorkerFactory(self.server, self.children.scoreboard, self._live, double_fork)

    def _live(self, context: WorkerContext, passed_fds: PassedFds) -> int | ProcessMain:
        """The life of a persistent worker."""
        source = functools.partial(self.strategy.source, passed_fds=passed_fds)
        return serve_many(self.server, context, source, self.factory().grow)
