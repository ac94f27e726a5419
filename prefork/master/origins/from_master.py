"""`master`: forks persistent workers from the master, with which they share memory.

A worker for a single request is forked from the master with any value of `fork_from`.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

from prefork.linux.fork import double_fork
from prefork.linux.stray_children import end_strays
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
    """Forks the workers of a pool; one object for each run.

    The master calls `fork_persistent()` and `fork_for_request()`. It also calls `tick()`,
    `next_timeout()`, `note_death()` and `end()`, for derived classes that keep other processes.

    A derived class forks persistent workers from another process, and falls back to this class.
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

        Errors: `OSError` if no process can be forked or no descriptor can be opened.
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

        Errors: `OSError` if no process can be forked or no descriptor can be opened.
        """
        return self.fork(lambda context: self._run_worker(context, passed_fds), persistent=True)

    def tick(self) -> None:
        """Do what is due at this time; events of descriptors are handled elsewhere."""

    def next_timeout(self) -> float | None:
        """Return the seconds until a `tick()` is due even if no event occurs."""
        return None

    def note_death(self, record: WorkerRecord, death: Death) -> None:
        """Note the death of a worker that was reaped."""
        if record.may_fork and death.is_violent:
            end_strays(record.pid)

    def end(self) -> None:
        """End the processes from which workers are forked; no more workers are needed."""

    def close_in_child(self) -> None:
        """Close the master's descriptors in a forked child."""

    def entered(self, record: WorkerRecord) -> WorkerRecord:
        """Complete the record of a worker that was just forked, and return it."""
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
        """Return the object with which another process can fork persistent workers."""
        return WorkerFactory(self.server, self.children.scoreboard, self._run_worker, double_fork)

    def _run_worker(self, context: WorkerContext, passed_fds: PassedFds) -> int | ProcessMain:
        """Run a persistent worker; return its exit status, or what its process is to run next."""
        source = functools.partial(self.strategy.source, passed_fds=passed_fds)
        return serve_many(self.server, context, source, self.factory().fork_mold)


def warn_of_threads() -> None:
    """Log a warning for each other thread that is alive while the master forks.

    A lock that such a thread holds during the fork is never released in the worker (fork(2)).
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            logger.warning(
                "Thread %r is alive while workers are forked; a lock that it holds during a fork "
                "stays locked in the worker.",
                thread.name,
                extra={"event": "threads_at_fork", "thread_name": thread.name},
            )
