"""Replaces the workers of one generation with those of the next, a few at once."""

from __future__ import annotations

from prefork.master.children import Children
from prefork.master.server_in_master import ServerInMaster
from prefork.policies.rollout import to_replace
from prefork.state.lifecycle import ROLLOUT_TRANSITIONS, RolloutEvent, RolloutState, advance
from prefork.state.worker_table import WorkerRecord, WorkerTable


class Rollout:
    """Knows which generation of a pool is current, and which workers to replace; one for each run.

    The origin of the workers calls `begin()` when those of a new generation can be forked, and
    `call_off()` when they no longer can.

    The master retires the workers that `tick()` returns, and starts the missing ones.
    """

    def __init__(self, server: ServerInMaster, pool: WorkerTable, children: Children) -> None:
        self._server = server
        self._pool = pool
        self._children = children
        self._state = RolloutState.SETTLED
        self.generation = 0
        """The number of times that the pool was renewed; new workers belong to this generation."""

    def begin(self) -> None:
        """Begin a new generation, whose workers can now be forked and replace the others."""
        self._note(RolloutEvent.BEGUN)
        self.generation += 1

    def call_off(self) -> None:
        """Keep older workers, since workers of the current generation can no longer be forked."""
        self._note(RolloutEvent.CALLED_OFF)

    @property
    def is_rolling(self) -> bool:
        """Whether workers of an older generation are being replaced."""
        return self._state is RolloutState.ROLLING

    def is_outdated(self, record: WorkerRecord) -> bool:
        """Whether a worker belongs to an older generation."""
        return record.generation < self.generation

    def tick(self, wanted: int) -> list[WorkerRecord]:
        """Return the workers to retire now, if the pool should have `wanted` workers."""
        if not self.is_rolling:
            return []
        if not self._is_outdated_left():
            self._note(RolloutEvent.FINISHED)
        return self._to_retire(wanted)

    def next_timeout(self, wanted: int) -> float | None:
        """Return the seconds until a `tick()` is due even if no event occurs."""
        if not self.is_rolling:
            return None
        return 0.0 if self._to_retire(wanted) or not self._is_outdated_left() else None

    def _to_retire(self, wanted: int) -> list[WorkerRecord]:
        serving = self._pool.serving()
        outdated = ((r.slot, self._children.reading(r)) for r in serving if self.is_outdated(r))
        missing = wanted - len(serving)
        slots = to_replace(outdated, missing, self._server.settings().max_unavailable)
        return [self._pool.by_slot(slot) for slot in slots]

    def _is_outdated_left(self) -> bool:
        return any(r.persistent and self.is_outdated(r) for r in self._pool)

    def _note(self, event: RolloutEvent) -> None:
        self._state = advance(ROLLOUT_TRANSITIONS, self._state, event)
