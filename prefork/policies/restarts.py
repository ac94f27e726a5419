"""Decides when to replace a dead worker: at once, unless workers keep dying soon after start."""

from __future__ import annotations

FACTOR = 1.5
LONGEST = 30.0
PROVED_AFTER = 1.0
"""Seconds after which a worker counts as proved even if it has not taken a request."""


def back_off(early_deaths: int) -> float:
    """Return the seconds to wait after `early_deaths` in a row: `1.5^n`, at most 30."""
    return min(FACTOR**early_deaths, LONGEST) if early_deaths else 0.0


def is_unproven(was_ready: bool, requests: int, age: float) -> bool:
    """Whether a worker has not proved that it can serve, so that its death would be an early one.

    `requests` is the number that it has taken; `age` is in seconds.
    """
    return not was_ready or (requests == 0 and age < PROVED_AFTER)


class Restarts:
    """Counts early deaths in a row, and delays replacements."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._not_before = 0.0

    def note_early_death(self, now: float) -> None:
        """Note that an unproven worker has died, or that none could be forked."""
        self._in_a_row += 1
        self._not_before = now + back_off(self._in_a_row)

    def note_proved(self) -> None:
        """Note that a worker is proved; the count of early deaths starts again."""
        self._in_a_row = 0

    def wait_left(self, now: float) -> float:
        """Return the seconds until a worker may be started."""
        return max(self._not_before - now, 0.0)
