"""Where a standing worker's memory comes from: from which process it is forked.

A worker that is forked for one request has the master's, whatever the choice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from prefork.crew import Crew
from prefork.host import Host
from prefork.pool import WorkerRecord
from prefork.reaper import Death
from prefork.reports import warn_of_threads
from prefork.spawner import divide
from prefork.strategies.base import Strategy
from prefork.strays import end_strays
from prefork.system import System
from prefork.workers.exits import Life
from prefork.workers.forker import Nursery
from prefork.workers.main import Assignment, Terms, serve_many, serve_one
from prefork.workers.service import Lent


class Origin:
    """One for each run of a pool. Here: every worker is forked from the master (`fork`)."""

    generation = 0
    """How often the pool was renewed; workers that are forked now belong to it."""

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
        return self.entered(self.crew.spawn(self.terms(standing), live))

    def spawn_for(self, request: Any, client_address: Any) -> WorkerRecord:
        """Fork a worker, always from the master, for a request that the master has taken.

        Errors: those of `spawn()`.
        """
        host = self.host
        whole = self.strategy.hands_over and host.threads() is None
        return self.spawn(lambda given: serve_one(host, given, request, client_address, whole))

    def spawn_standing(self, lent: Lent) -> WorkerRecord:
        """Fork a standing worker from where they come from, with the descriptors `lent` to it.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        return self.spawn(lambda given: self._live(given, lent), standing=True)

    def turn(self, wanted: int) -> list[WorkerRecord]:
        """Decide what is due in a pool of `wanted` workers; those to retire now."""
        return []

    def due(self, wanted: int) -> float | None:
        """Seconds until the clock alone makes a `turn()` necessary."""
        return None

    def note_death(self, record: WorkerRecord, death: Death) -> None:
        """A worker has ended, and is collected."""
        if record.may_fork and death.is_violent:
            end_strays(record.pid)

    def end(self) -> None:
        """No more standing workers are wanted."""

    def let_go(self) -> None:
        """In a forked child: drop what belongs to the master."""

    def entered(self, record: WorkerRecord) -> WorkerRecord:
        """Note what is to be known of a worker that was entered in the pool."""
        record.may_stop = self.host.serves_on()
        record.generation = self.generation
        self.host.workers_changed(self.strategy.pool.pids())
        return record

    def terms(self, standing: bool) -> Terms:
        host, settings = self.host, self.host.settings()
        limit = self.strategy.requests_at_most
        return Terms(
            freeze=settings.freeze,
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
        source = functools.partial(self.strategy.source, lent=lent)
        return serve_many(self.host, given, source, self.nursery().grow)
