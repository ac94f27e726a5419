"""When a warm worker is made a mold, and which workers are replaced by those that come from it."""

from __future__ import annotations

from collections.abc import Iterable

from prefork.policies.sizing.steps import to_retire
from prefork.workers.protocol.scoreboard import Reading, State

LOOK_INTERVAL = 1.0
"""Seconds between two looks for a worker that has become warm."""

BACK_OFF = 10.0
"""Seconds between the end of one attempt, however it has ended, and the next."""


def to_promote(readings: Iterable[tuple[int, Reading]], refork_after: int) -> int | None:
    """The slot of the worker to make a mold of: one that has served enough requests.

    Rather an idle one, for a busy one reads its orders later; of those the warmest.
    """
    warm = [
        (reading.state is State.IDLE, reading.served, -slot)
        for slot, reading in readings
        if reading.served >= refork_after
    ]
    return -max(warm)[2] if warm else None


def to_replace(
    outdated: Iterable[tuple[int, Reading]], missing: int, max_unavailable: int
) -> list[int]:
    """The slots of workers to retire now, so that new ones can be forked: idle ones first.

    `outdated` are those that serve and are of an older generation, `missing` is how many workers do
    not serve now of those that should.
    """
    surplus = max(0, max_unavailable - missing)
    return to_retire(outdated, surplus, busy_too=surplus)


class PromotionBackoff:
    """When there may be another attempt, and when to look for a worker to make it with."""

    def __init__(self) -> None:
        self._next = 0.0

    def note_end(self, now: float) -> None:
        self._next = now + BACK_OFF

    def look(self, now: float) -> bool:
        """Whether it is time; if so, the next look is a moment later."""
        if now < self._next:
            return False
        self._next = now + LOOK_INTERVAL
        return True

    def next_timeout(self, now: float) -> float:
        """Seconds until the next look."""
        return max(self._next - now, 0.0)
