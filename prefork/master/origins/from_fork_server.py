"""`auto`: workers are forked from the master or, if that has threads, from a process without."""

from __future__ import annotations

import functools
import logging
import threading

from prefork.linux.listeners import Identity, identity
from prefork.linux.syscalls import System
from prefork.master.children import Children
from prefork.master.fork_server import Forker, ForkerError
from prefork.master.origins.from_master import Origin
from prefork.master.server_view import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.state.worker_table import WorkerRecord
from prefork.workers.server_in_worker import Lent

logger = logging.getLogger("prefork")


class FromForker(Origin):
    """From the master while it has one thread; otherwise from a forker (`auto`).

    That is forked when the first worker is wanted, with all the threads alive: this one fork is no
    safer than any other. But the workers, and all who ever replace them, then come from a process
    in which no other thread can hold a lock.
    """

    def __init__(
        self, server: ServerInMaster, strategy: Strategy, children: Children, system: System
    ) -> None:
        super().__init__(server, strategy, children, system)
        self._forker: Forker | None = None
        self._given_up = False

    def spawn_standing(self, lent: Lent) -> WorkerRecord:
        if self._forker is not None and self.is_out_of_date(self._forker):
            FromForker.end(self)
        if (forker := self._forker or self._new_forker()) is not None:
            try:
                return self.spawn_by(forker, lent)
            except ForkerError as error:
                self._give_up(forker, str(error))
        return super().spawn_standing(lent)

    def end(self) -> None:
        if self._forker is not None:
            self.dismiss(self._forker)
            self._forker = None

    def let_go(self) -> None:
        if self._forker is not None:
            self._forker.let_go()

    def spawn_by(self, forker: Forker, lent: Lent) -> WorkerRecord:
        """Have it fork a worker.

        Errors: as those of `Forker.bear()`.
        """
        bear = functools.partial(forker.bear, lent=lent)
        return self.entered(self.children.spawn_elsewhere(self.terms(standing=True), bear))

    def is_out_of_date(self, forker: Forker) -> bool:
        """Whether it has a listener that is closed by now, or lacks one.

        It would keep the port taken, and give it to workers.
        """
        return forker.listeners != self.listeners()

    def listeners(self) -> list[Identity | None]:
        """The listeners that there are now."""
        return [identity(one.fileno()) for one in self.server.listeners()]

    def dismiss(self, forker: Forker) -> None:
        """It is not needed any more.

        It is to be forgotten after that: somebody's exception in here lets it be done again.
        """
        self.children.unwatch(forker.fileno())
        forker.end()

    def _new_forker(self) -> Forker | None:
        if self._given_up or self.system.threads() == 1:
            return None
        forker = self._forker = self.children.spawn_forker(self.nursery(), self.server.settings())
        forker.listeners = self.listeners()
        self.children.watch(forker.fileno(), lambda: self._note_end(forker))
        logger.info(
            "Other threads are alive (%s), so workers are forked by a process without them, pid "
            "%d.",
            ", ".join(t.name for t in threading.enumerate() if t is not threading.current_thread()),
            forker.pid,
        )
        return forker

    def _note_end(self, forker: Forker) -> None:
        if (death := forker.collect()) is not None:
            self._give_up(forker, death.sentence)

    def _give_up(self, forker: Forker, why: str) -> None:
        self._given_up = True
        self.dismiss(forker)
        self._forker = None
        logger.log(
            forker.severity,
            "The process that forks workers (pid %d) %s; from now on the master forks them itself.",
            forker.pid,
            why,
        )
