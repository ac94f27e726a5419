"""Named deadlines, and one budget that nested waits can share.

``PREFORK_TEST_PATIENCE`` (a number, 1 by default) multiplies all of them on slow machines.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

PATIENCE = float(os.environ.get("PREFORK_TEST_PATIENCE", "1"))

EXCHANGE = 8.0 * PATIENCE
"""A loopback exchange, or an announcement of something already under way."""

ENDING = 12.0 * PATIENCE
"""A process or thread that has been asked to end should have ended by now."""

HANG = 30.0 * PATIENCE
"""Nothing in the suite takes this long: whoever still waits would wait for ever."""


class DeadlinePassed(AssertionError):
    """What a test waited for did not happen in time; the message says what that was."""


class Deadline:
    """A point in time; nested waits ask it how much of the common budget remains."""

    def __init__(self, seconds: float = EXCHANGE) -> None:
        self._end = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self._end

    def remaining(self) -> float:
        """The seconds left, never below zero: fit for a socket's or a selector's timeout."""
        return max(0.0, self._end - time.monotonic())

    def demand(self, what: str) -> float:
        """Like `remaining`, but raises `DeadlinePassed` once nothing is left."""
        if self.passed:
            raise DeadlinePassed(f"still waiting for {what}")
        return self.remaining()


def within(call: Callable[[], Result], seconds: float = ENDING, *, what: str = "") -> Result:
    """The result of *call*, which must return in time; what it raises is raised here.

    It runs in a thread of its own, so that a call that would block for ever becomes a failure.
    (The thread cannot be stopped, it stays behind as the evidence.)
    """
    outcome: list[Result] = []
    raised: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # carried over to the caller, whatever it is
            raised.append(error)

    thread = threading.Thread(target=body, name=f"within {what or call!r}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise DeadlinePassed(f"{what or call!r} did not return within {seconds:g} s")
    if raised:
        raise raised[0]
    return outcome[0]
