"""`auto`: forks workers from the master or, if that has other threads, from a fork server."""

from __future__ import annotations

import functools
import logging
import threading

from prefork.linux import prctl
from prefork.linux.listening_sockets import Identity, identity
from prefork.linux.syscalls import System
from prefork.master.children import Children
from prefork.master.fork_server import ForkServer, ForkServerError
from prefork.master.origins.from_master import FromMaster
from prefork.master.rollout import Rollout
from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.state.worker_table import WorkerRecord
from prefork.workers.server_in_worker import PassedFds

logger = logging.getLogger("prefork")


class FromForkServer(FromMaster):
    """Forks workers from the master while it has one thread, and otherwise from a fork server.

    The fork server itself is forked from the master while other threads are running, when the first
    worker is wanted. This one fork is not safer than any other. But all workers are then forked
    from a process in which no other thread can hold a lock.
    """

    def __init__(
        self,
        server: ServerInMaster,
        strategy: Strategy,
        children: Children,
        rollout: Rollout,
        system: System,
    ) -> None:
        super().__init__(server, strategy, children, rollout, system)
        self._fork_server: ForkServer | None = None
        self._has_given_up = False

    def fork_persistent(self, passed_fds: PassedFds) -> WorkerRecord:
        if self._fork_server is not None and self.is_out_of_date(self._fork_server):
            FromForkServer.end(self)
        if (fork_server := self._fork_server or self._new_fork_server()) is not None:
            try:
                return self.fork_by(fork_server, passed_fds)
            except ForkServerError as error:
                self._give_up(fork_server, str(error))
        return super().fork_persistent(passed_fds)

    def end(self) -> None:
        if self._fork_server is not None:
            self.dismiss(self._fork_server)
            self._fork_server = None

    def close_in_child(self) -> None:
        if self._fork_server is not None:
            self._fork_server.close_in_child()

    def fork_by(self, fork_server: ForkServer, passed_fds: PassedFds) -> WorkerRecord:
        """Have a fork server fork a worker.

        Errors: those of `ForkServer.fork_worker()`.
        """
        fork_worker = functools.partial(fork_server.fork_worker, passed_fds=passed_fds)
        return self.entered(self.children.fork_elsewhere(self.config(persistent=True), fork_worker))

    def is_out_of_date(self, fork_server: ForkServer) -> bool:
        """Whether the listeners of a fork server differ from those that are open in the master.

        A listener that only the fork server has open keeps the port in use, and workers inherit it.
        """
        return fork_server.listeners != self.listeners()

    def listeners(self) -> list[Identity | None]:
        """Return the identities of the listeners that are open now."""
        return [identity(one.fileno()) for one in self.server.listeners()]

    def dismiss(self, fork_server: ForkServer) -> None:
        """End a fork server that is no longer needed.

        The caller forgets it only afterwards, so that it can repeat this call if a signal handler
        raises an exception during it.
        """
        self.children.unwatch(fork_server.fileno())
        fork_server.end()

    def _new_fork_server(self) -> ForkServer | None:
        if self._has_given_up or self.system.threads() == 1:
            return None
        prctl.load()
        fork_server = self._fork_server = self.children.start_fork_server(
            self.factory(), self.server.settings()
        )
        fork_server.listeners = self.listeners()
        self.children.watch(fork_server.fileno(), lambda: self._note_exit(fork_server))
        names = [t.name for t in threading.enumerate() if t is not threading.current_thread()]
        logger.info(
            "The master has other threads (%s), so workers are forked from a fork server (pid %d).",
            ", ".join(names),
            fork_server.pid,
            extra={"event": "fork_server_started", "pid": fork_server.pid, "threads": names},
        )
        return fork_server

    def _note_exit(self, fork_server: ForkServer) -> None:
        if (death := fork_server.collect()) is not None:
            self._give_up(fork_server, death.sentence)

    def _give_up(self, fork_server: ForkServer, why: str) -> None:
        self._has_given_up = True
        self.dismiss(fork_server)
        self._fork_server = None
        logger.log(
            fork_server.severity,
            "The fork server (pid %d) %s; from now on, the master forks workers itself.",
            fork_server.pid,
            why,
            extra={"event": "fork_server_exit", "pid": fork_server.pid, "reason": why},
        )
