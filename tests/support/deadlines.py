"""Named deadlines, and one budget that nested waits can share.

They are the seconds of a quiet machine. A wait lasts longer on a busy one: as many times as there
are processes for each core that would like to run, at that moment or in the last minute.
`PREFORK_TEST_PATIENCE` (a number, 1 by default) multiplies all of them on slow machines.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Result = TypeVar("Result")

PATIENCE = float(os.environ.get("PREFORK_TEST_PATIENCE", "1"))

EXCHANGE = 8.0
"""A loopback exchange, or an announcement of something already under way."""

ENDING = 12.0
"""A process or thread that has been asked to end should have ended by now."""

HANG = 30.0
"""Nothing in the suite takes this long: whoever still waits would wait without end."""

WHOLE_TEST = 120.0
"""One test, with all its waits."""

_CORES = len(os.sched_getaffinity(0))


def stretch() -> float:
    """How many times longer than on a quiet machine things may take now (proc(5): loadavg)."""
    words = Path("/proc/loadavg").read_text().split()
    busy = max(float(words[0]), float(words[3].partition("/")[0]))
    return PATIENCE * max(1.0, busy / _CORES)


def stretched(seconds: float) -> float:
    """So many seconds of a quiet machine as a timeout for a wait that begins now."""
    return seconds * stretch()


class DeadlinePassed(AssertionError):
    """What a test waited for did not happen in time; the message says what that was."""


class Deadline:
    """A point in time; nested waits ask it how much of the common budget remains.

    It recedes when the machine gets busy meanwhile.
    """

    def __init__(self, seconds: float = EXCHANGE) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._stretch = stretch()

    @property
    def passed(self) -> bool:
        return self.remaining() == 0.0

    def remaining(self) -> float:
        """The seconds left, never below zero: fit for a socket's or a selector's timeout."""
        if not (left := self._left()):
            self._stretch = max(self._stretch, stretch())
            left = self._left()
        return left

    def demand(self, what: str) -> float:
        """Like `remaining`, but raises `DeadlinePassed` once nothing is left."""
        if not (left := self.remaining()):
            raise DeadlinePassed(f"still waiting for {what}")
        return left

    def _left(self) -> float:
        return max(0.0, self._began + self._seconds * self._stretch - time.monotonic())


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
        deadline = Deadline(seconds)
        while self.is_alive():
            self.join(deadline.demand(f"the end of {self._what}"))
        if self._raised is not None:
            raise self._raised
        return self._results[0]


def within(call: Callable[[], Result], seconds: float = ENDING, *, what: str = "") -> Result:
    """The result of *call*, which must return in time; what it raises is raised here."""
    return Call(call, what).result(seconds)
