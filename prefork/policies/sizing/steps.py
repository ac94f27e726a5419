"""Steps towards the wanted number of workers: how many to start, and which ones to retire."""

from __future__ import annotations

from collections.abc import Iterable

from prefork.workers.protocol.scoreboard import Reading, State

SURPLUS_INTERVAL = 0.05
"""Seconds between two looks for an idle worker to retire."""

SURPLUS_PATIENCE = 1.0
"""Seconds after which busy workers are also retired; they leave after their requests."""


def to_start(missing: int, starting: int, cores: int) -> int:
    """Return how many of the missing workers to start now.

    At most as many start at once as there are cores; more would only slow each other down.
    """
    return max(0, min(missing, cores - starting))


def to_retire(
    readings: Iterable[tuple[int, Reading]], surplus: int, busy_too: int = 0
) -> list[int]:
    """Return the slots of workers to retire: idle ones, in the order of how long they are idle.

    There may be fewer than `surplus`; the caller tries again when a worker may have become idle. If
    there are fewer than `busy_too`, busy workers are added up to that number, those with the most
    recent requests first; they leave after their requests.
    """
    idle: list[tuple[float, int]] = []
    busy: list[tuple[float, int]] = []
    for slot, reading in readings:
        (idle if reading.state is State.IDLE else busy).append((reading.since, slot))
    chosen = [slot for _, slot in sorted(idle)][:surplus]
    others = [slot for _, slot in sorted(busy, reverse=True)]
    return chosen + others[: max(0, busy_too - len(chosen))]


class Shrinking:
    """Chooses workers to retire as long as there are too many."""

    def __init__(self) -> None:
        self._since: float | None = None

    def choose(
        self, readings: Iterable[tuple[int, Reading]], surplus: int, forbidden: int, now: float
    ) -> list[int]:
        """Return the slots of workers to retire now; see `to_retire()`.

        `surplus` is the number of workers above the wanted one, `forbidden` the number above the
        allowed one. Busy workers are chosen only if there are `forbidden` ones, after
        `SURPLUS_PATIENCE`.
        """
        if not forbidden:
            self._since = None
        elif self._since is None:
            self._since = now
        if not surplus:
            return []
        patience_over = self._since is not None and now - self._since >= SURPLUS_PATIENCE
        return to_retire(readings, surplus, forbidden if patience_over else 0)

    def next_timeout(self) -> float | None:
        """Return the seconds until the next look."""
        return None if self._since is None else SURPLUS_INTERVAL
