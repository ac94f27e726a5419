"""Where a standing worker's memory comes from: from which process it is forked.

From the master, which is as it is now; or from a forker, which is as the master was when that was
forked. A worker that is forked for one request has the master's, whatever the choice.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable

from prefork.crew import Crew
from prefork.forker import Forker, ForkerError
from prefork.host import Host
from prefork.pool import WorkerRecord
from prefork.reports import warn_of_threads
from prefork.settings import SpawnName
from prefork.spawner import divide
from prefork.strategies.base import Lent, Strategy
from prefork.system import System
from prefork.workers.exits import Life
from prefork.workers.forker import Nursery
from prefork.workers.main import Assignment, Terms, serve_many

logger = logging.getLogger("prefork")


class Origin:
    """One for each run of a pool. Here: every worker is forked from the master (`fork`)."""

    def __init__(self, host: Host, strategy: Strategy, crew: Crew, system: System) -> None:
        self.host = host
        self.strategy = strategy
        self.crew = crew
        self.system = system
        self._warned = False

    def spawn(
        self, live: Callable[[Assignment], int | Life], *, standing: bool = False
    ) -> WorkerRecord:
        """Fork a worker from the master.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        if not self._warned:
            self._warned = True
            warn_of_threads()
        return self.crew.spawn(self.terms(standing), live, self.host.settings().freeze)

    def spawn_standing(self, lent: Lent) -> WorkerRecord:
        """Fork a standing worker from where they come from, with the descriptors `lent` to it.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        return self.spawn(lambda given: self._live(given, lent), standing=True)

    def collect(self) -> None:
        """Note what has happened."""

    def end(self) -> None:
        """No more standing workers are wanted."""

    def let_go(self) -> None:
        """In a forked child: drop what belongs to the master."""

    def terms(self, standing: bool) -> Terms:
        host, settings = self.host, self.host.settings()
        limit = self.strategy.requests_at_most
        return Terms(
            number=self.strategy.pool.free_slot(),
            standing=standing,
            threads=host.threads() if standing else None,
            may_cut_off=host.may_cut_off(),
            max_requests=settings.drawn_max_requests() if limit is None else limit,
            name=settings.name,
            titles=settings.titles,
        )

    def nursery(self) -> Nursery:
        """What standing workers are made of."""
        return Nursery(self.host, self.crew.scoreboard, self._live, divide)

    def _live(self, given: Assignment, lent: Lent) -> int | Life:
        """The life of a standing worker."""
        return serve_many(self.host, given, functools.partial(self.strategy.source, lent=lent))


class FromForker(Origin):
    """From the master while it has one thread; otherwise from a forker (`auto`).

    That is forked when the first worker is wanted, with all the threads alive: this one fork is no
    safer than any other. But the workers, and all who ever replace them, then come from a process
    in which no other thread can hold a lock.
    """

    def __init__(self, host: Host, strategy: Strategy, crew: Crew, system: System) -> None:
        super().__init__(host, strategy, crew, system)
        self._forker: Forker | None = None
        self._given_up = False

    def spawn_standing(self, lent: Lent) -> WorkerRecord:
        if (forker := self._forker or self._new_forker()) is not None:
            try:
                return self.crew.spawn_elsewhere(
                    self.terms(standing=True), functools.partial(forker.bear, lent=lent)
                )
            except ForkerError as error:
                self._give_up(forker, str(error))
        return super().spawn_standing(lent)

    def collect(self) -> None:
        if self._forker is not None and (death := self._forker.collect()) is not None:
            self._give_up(self._forker, death.sentence)

    def end(self) -> None:
        if self._forker is not None:
            self._dismiss(self._forker)

    def let_go(self) -> None:
        if self._forker is not None:
            self._forker.let_go()

    def _new_forker(self) -> Forker | None:
        if self._given_up or self.system.threads() == 1:
            return None
        self._forker = self.crew.spawn_forker(self.nursery(), self.host.settings())
        logger.info(
            "Other threads are alive (%s), so workers are forked by a process without them, pid "
            "%d.",
            ", ".join(t.name for t in threading.enumerate() if t is not threading.current_thread()),
            self._forker.pid,
        )
        return self._forker

    def _give_up(self, forker: Forker, why: str) -> None:
        self._given_up = True
        self._dismiss(forker)
        logger.warning(
            "The process that forks workers (pid %d) %s; from now on the master forks them itself.",
            forker.pid,
            why,
        )

    def _dismiss(self, forker: Forker) -> None:
        self._forker = None
        self.crew.unwatch(forker.fileno())
        forker.end()


ORIGINS: dict[SpawnName, type[Origin]] = {"auto": FromForker, "fork": Origin}
