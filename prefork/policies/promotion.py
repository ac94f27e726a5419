"""Decides when a worker is told to fork a mold, and which one; the clock is an argument."""

from __future__ import annotations

from collections.abc import Iterable

from prefork.workers.protocol.scoreboard import Reading, State

LOOK_INTERVAL = 1.0
"""Seconds between two looks for a warm worker."""

BACK_OFF = 10.0
"""Seconds from the end of one promotion, successful or not, to the next attempt."""


def to_promote(readings: Iterable[tuple[int, Reading]], refork_after: int) -> int | None:
    """Return the slot of the worker that is to fork a mold; `None` if no worker is warm.

    An idle worker is preferred, since a busy one reads its orders later; in a tie, the worker that
    has served most.
    """
    warm = [
        (reading.state is State.IDLE, reading.served, -slot)
        for slot, reading in readings
        if reading.served >= refork_after
    ]
    return -max(warm)[2] if warm else None


class PromotionBackoff:
    """Paces the looks for a warm worker, and pauses after each promotion."""

    def __init__(self) -> None:
        self._next = 0.0

    def note_end(self, now: float) -> None:
        """Note that a promotion has ended, with or without a mold."""
        self._next = now + BACK_OFF

    def look(self, now: float) -> bool:
        """Whether a look is due; if so, the next one is due `LOOK_INTERVAL` later."""
        if now < self._next:
            return False
        self._next = now + LOOK_INTERVAL
        return True

    def next_timeout(self, now: float) -> float:
        """Return the seconds until the next look."""
        return max(self._next - now, 0.0)
