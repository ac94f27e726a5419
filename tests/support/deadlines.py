"""Named deadlines, and one budget that nested waits can share.

``PREFORK_TEST_PATIENCE`` (a number, 1 by default) multiplies all of them on slow machines.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

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


class Call(threading.Thread, Generic[Result]):
    """A call under way in a thread of its own, which begins at once.

    So a call that would block for ever becomes a failure. (Its thread cannot be stopped, it stays
    behind as the evidence.)
    """

    def __init__(self, call: Callable[[], Result], what: str = "") -> None:
        self._what = what or repr(call)
        super().__init__(name=f"call of {self._what}", daemon=True)
        self._call = call
        self._results: list[Result] = []
        self._raised: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:  # carried over to whoever asks for the result
            self._raised = error

    def result(self, seconds: float = ENDING) -> Result:
        """What it returned, which must happen in time; what it raised is raised here."""
        self.join(seconds)
        if self.is_alive():
            raise DeadlinePassed(f"{self._what} did not return within {seconds:g} s")
        if self._raised is not None:
            raise self._raised
        return self._results[0]


def within(call: Callable[[], Result], seconds: float = ENDING, *, what: str = "") -> Result:
    """The result of *call*, which must return in time; what it raises is raised here."""
    return Call(call, what).result(seconds)
