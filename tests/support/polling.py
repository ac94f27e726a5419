"""`eventually`: the one place in the tests that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.support.deadlines import EXCHANGE, Deadline, DeadlinePassed

Value = TypeVar("Value")

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.05


def eventually(
    observe: Callable[[], Value], seconds: float = EXCHANGE, *, what: str = "a true value"
) -> Value:
    """Return the first truthy value of *observe*; fail with the last value seen.

    For facts that no process can announce: a word in shared memory, an entry under ``/proc``.
    """
    deadline = Deadline(seconds)
    pause = _FIRST_PAUSE
    while True:
        value = observe()
        if value:
            return value
        if deadline.passed:
            raise DeadlinePassed(f"no {what} within {seconds:g} s, last seen: {value!r}")
        time.sleep(min(pause, deadline.remaining()))
        pause = min(pause * 2, _LONGEST_PAUSE)
