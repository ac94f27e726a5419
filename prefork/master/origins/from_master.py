"""`master`: persistent workers are forked from the master, and share its memory.

A worker that is forked for one request comes from the master with any `fork_from`.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

from prefork.linux.fork import double_fork
from prefork.linux.strays import end_strays
from prefork.linux.syscalls import System
from prefork.master.children import Children
from prefork.master.rollout import Rollout
from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.state.worker_table import WorkerRecord
from prefork.workers.factory import WorkerFactory
from prefork.workers.main import WorkerConfig, WorkerContext, serve_many, serve_one
from prefork.workers.protocol.exit_codes import Death, ProcessMain
from prefork.workers.server_in_worker import PassedFds

logger = logging.getLogger("prefork")


class FromMaster:
    """Forks the workers of one run of a pool; one object for each run.

    For the master: `fork_persistent()` and `fork_for_request()`; `tick()`, `next_timeout()`,
    `note_death()` and `end()`, which matter to derived classes that keep processes of their own.

    A derived class forks persistent workers elsewhere, and falls back to this one.
    """

    def __init__(
        self,
        server: ServerInMaster,
        strategy: Strategy,
        children: Children,
        rollout: Rollout,
        system: System,
    ) -> None:
        self.server = server
        self.strategy = strategy
        self.children = children
        self.rollout = rollout
        self.system = system
        self._has_warned = False

    def fork(
        self, run: Callable[[WorkerContext], int | ProcessMain], *, persistent: bool = False
    ) -> WorkerRecord:
        """Fork a worker from the master.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        if not self._has_warned:
            self._has_warned = True
            warn_of_threads()
        return self.entered(self.children.fork(self.config(persistent), run))

    def fork_for_request(self, request: Any, client_address: Any) -> WorkerRecord:
        """Fork a worker for a request that the master has taken.

        Errors: those of `fork()`.
        """
        server = self.server
        whole = self.strategy.hands_over and server.threads() is None
        return self.fork(lambda context: serve_one(server, context, request, client_address, whole))

    def fork_persistent(self, passed_fds: PassedFds) -> WorkerRecord:
        """Fork a persistent worker that keeps the listeners `passed_fds`.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        return self.fork(lambda context: self._run_worker(context, passed_fds), persistent=True)

    def tick(self) -> None:
        """Do what is due, other than by an event of a descriptor."""

    def next_timeout(self) -> float | None:
        """Return the seconds until a `tick()` is due even if nothing happens."""
        return None

    def note_death(self, record: WorkerRecord, death: Death) -> None:
        """Note that a worker was reaped."""
        if record.may_fork and death.is_violent:
            end_strays(record.pid)

    def end(self) -> None:
        """End the processes that workers are forked from: no more are needed."""

    def close_in_child(self) -> None:
        """In a forked child: close the master's descriptors."""

    def entered(self, record: WorkerRecord) -> WorkerRecord:
        """Complete the record of a worker that was just forked."""
        record.may_stop = self.server.serves_forever()
        record.generation = self.rollout.generation
        self.server.workers_changed(self.strategy.pool.pids())
        return record

    def config(self, persistent: bool) -> WorkerConfig:
        """Return the configuration of the next worker."""
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
        """Return what another process needs to fork persistent workers."""
        return WorkerFactory(self.server, self.children.scoreboard, self._run_worker, double_fork)

    def _run_worker(self, context: WorkerContext, passed_fds: PassedFds) -> int | ProcessMain:
        """Run a persistent worker; return its exit status, or what this process runs next."""
        source = functools.partial(self.strategy.source, passed_fds=passed_fds)
        return serve_many(self.server, context, source, self.factory().fork_mold)


def warn_of_threads() -> None:
    """Name every other thread that is alive when the master forks.

    A lock that it holds at that moment is never released in the worker (fork(2)).
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            logger.warning(
                "Thread %r is alive while workers are forked: a lock that it holds at that moment "
                "stays locked in them.",
                thread.name,
                extra={"event": "threads_at_fork", "thread_name": thread.name},
            )
