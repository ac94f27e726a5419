"""When a dead worker is replaced: at once, unless workers keep dying soon after their start."""

from __future__ import annotations

FACTOR = 1.5
LONGEST = 30.0
YOUNG = 1.0
"""Seconds for which a worker that has taken no request yet counts as new."""


def back_off(young_deaths: int) -> float:
    """Return the seconds to wait after `young_deaths` deaths of new workers in a row: `1.5^n`, at
    most 30."""
    return min(FACTOR**young_deaths, LONGEST) if young_deaths else 0.0


def is_newborn(was_ready: bool, requests: int, age: float) -> bool:
    """Whether a worker is new: its death would point to a problem of the start.

    `requests` is how many it has taken, `age` is in seconds.
    """
    return not was_ready or (requests == 0 and age < YOUNG)


class Restarts:
    """Counts deaths of new workers in a row, and delays their replacement."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._not_before = 0.0

    def note_newborn_death(self, now: float) -> None:
        self._in_a_row += 1
        self._not_before = now + back_off(self._in_a_row)

    def note_survival(self) -> None:
        """A worker is no longer new: the next death of a new one is the first again."""
        self._in_a_row = 0

    def wait_left(self, now: float) -> float:
        """Return the seconds for which no worker may be started."""
        return max(self._not_before - now, 0.0)
