"""When a worker that died is replaced: at once, unless workers keep dying young."""

from __future__ import annotations

FACTOR = 1.5
LONGEST = 30.0
YOUNG = 1.0
"""Seconds for which a worker that has taken no request yet counts as newborn."""


def back_off(young_deaths: int) -> float:
    """Seconds to wait after so many deaths of newborn workers in a row: `1.5^n`, at most 30."""
    return min(FACTOR**young_deaths, LONGEST) if young_deaths else 0.0


def is_newborn(was_ready: bool, requests: int, age: float) -> bool:
    """Whether a worker has yet to prove itself.

    Its death would say something about the start, and not about a request or about wear.
    `requests` are those that it has taken, `age` is in seconds.
    """
    return not was_ready or (requests == 0 and age < YOUNG)


class Restarts:
    """Counts newborn deaths in a row and holds replacements back."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._not_before = 0.0

    def note_newborn_death(self, now: float) -> None:
        self._in_a_row += 1
        self._not_before = now + back_off(self._in_a_row)

    def note_survival(self) -> None:
        """A worker has proved itself: the next newborn death is the first again."""
        self._in_a_row = 0

    def wait_left(self, now: float) -> float:
        """Seconds for which no worker shall be started."""
        return max(self._not_before - now, 0.0)
