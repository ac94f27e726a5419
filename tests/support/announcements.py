"""`Told` and `Gate`: a test receives announcements from threads and processes, and holds them.

Both are made of descriptors and hold no lock, so they work in the test, in its threads and in every
process forked from it.
"""

import os
import select

from tests.support.deadlines import EXCHANGE, HANG, Deadline, DeadlinePassed

_UNLIMITED = 1 << 32


class Told:
    """A pipe on which handlers and workers announce what has happened.

    An announcement is a line of words. The first word is the fact, the others are its details:
    after ``told.say(b"pid", 12)`` anywhere, ``told.wait_for(b"pid")`` returns ``b"12"``.
    Lines are shorter than a pipe's atomic write, so those of several processes never mix.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._partial = b""
        self._lines: list[bytes] = []
        self.history: list[bytes] = []
        """Everything received so far, in order."""

    def say(self, *words: bytes | str | int) -> None:
        """Announce a fact, from any thread and any process."""
        line = b" ".join(w if isinstance(w, bytes) else str(w).encode() for w in words)
        os.write(self._writer, line + b"\n")

    def wait_for(self, fact: bytes, seconds: float = EXCHANGE) -> bytes:
        """Wait until *fact* is announced; remove that announcement and return its details.

        Other announcements stay for later waits.
        """
        deadline = Deadline(seconds)
        while True:
            for number, line in enumerate(self._lines):
                word, _, details = line.partition(b" ")
                if word == fact:
                    del self._lines[number]
                    return details
            self._receive(deadline, f"{fact!r}")

    def next(self, seconds: float = EXCHANGE) -> bytes:
        """Wait for the next announcement, remove it and return its line, to check an order."""
        deadline = Deadline(seconds)
        while not self._lines:
            self._receive(deadline, "an announcement")
        return self._lines.pop(0)

    def so_far(self) -> list[bytes]:
        """Remove and return all announcements so far, without waiting."""
        self._read()
        lines, self._lines = self._lines, []
        return lines

    def _receive(self, deadline: Deadline, what: str) -> None:
        if deadline.passed:
            raise DeadlinePassed(f"still waiting for {what}; received: {self.history!r}")
        select.select([self._reader], [], [], deadline.remaining())
        self._read()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._reader, 65536)
            except BlockingIOError:
                return
            *lines, self._partial = (self._partial + data).split(b"\n")
            self._lines += lines
            self.history += lines

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


class Gate:
    """A gate at which a handler waits until the test lets it pass.

    It is closed at first. "The worker is busy" is then a fact that the test has established, not
    a moment that it hopes to hit.
    """

    def __init__(self) -> None:
        self._counter = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def wait(self, seconds: float = HANG) -> None:
        """Block until the gate opens; raise `DeadlinePassed` if that takes too long."""
        deadline = Deadline(seconds)
        while True:
            try:
                os.eventfd_read(self._counter)
                return
            except BlockingIOError:
                # Another waiter may have passed between the readiness and this read: wait again.
                select.select([self._counter], [], [], deadline.demand("the gate to open"))

    def let_through(self, count: int = 1) -> None:
        """Let *count* waiters pass, present or future ones; it stays closed for the others."""
        os.eventfd_write(self._counter, count)

    def open(self) -> None:
        """Let all waiters pass from now on."""
        self.let_through(_UNLIMITED)

    def close(self) -> None:
        os.close(self._counter)
