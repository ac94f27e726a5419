"""The steps to the wanted number of workers: how many to start, and which ones to retire."""

from __future__ import annotations

from collections.abc import Iterable

from prefork.workers.scoreboard import Reading, State

SURPLUS_INTERVAL = 0.05
"""Seconds between two looks for an idle worker to retire."""

SURPLUS_PATIENCE = 1.0
"""Seconds after which busy workers are asked too: they leave after what they hold."""


def to_start(missing: int, starting: int, cores: int) -> int:
    """At most as many unready workers as there are cores: more would only slow each other."""
    return max(0, min(missing, cores - starting))


def to_retire(
    readings: Iterable[tuple[int, Reading]], surplus: int, patience_over: bool
) -> list[int]:
    """The slots to retire: the idle ones, those first that have been idle longest.

    May be fewer than `surplus`; the caller asks again when a worker may have become idle. When its
    patience is over busy ones are named too, those with the youngest requests first: they leave
    after what they hold.
    """
    readings = list(readings)
    idle = sorted(
        (reading.since, slot) for slot, reading in readings if reading.state is State.IDLE
    )
    chosen = [slot for _, slot in idle]
    if patience_over:
        others = [(reading.since, slot) for slot, reading in readings if slot not in chosen]
        chosen += [slot for _, slot in sorted(others, reverse=True)]
    return chosen[:surplus]


class Shrinking:
    """Looks for workers to retire for as long as there are too many."""

    def __init__(self) -> None:
        self._since: float | None = None

    def choose(
        self, readings: Iterable[tuple[int, Reading]], surplus: int, now: float
    ) -> list[int]:
        """The slots to retire now; see `to_retire()`."""
        if not surplus:
            self._since = None
            return []
        if self._since is None:
            self._since = now
        return to_retire(readings, surplus, now - self._since >= SURPLUS_PATIENCE)

    def due(self) -> float | None:
        """Seconds until the next look."""
        return None if self._since is None else SURPLUS_INTERVAL
