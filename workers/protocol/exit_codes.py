"""The exit codes of a worker, and what each means."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum


class ExitCode(IntEnum):
    """Why a worker exited, as the master reads it from the exit status."""

    DONE = 0
    """It was asked to retire, or has served the one request that it was forked for."""
    CRASHED = 1
    """It was ended by a bug, or by an exception that a handler must not raise, such as
    `SystemExit`."""
    BOOT_FAILED = 3
    """It did not become ready; it sent the traceback to the master over the channel."""
    RECYCLED = 10
    """It reached its limit of requests."""
    TERMINATED = 12
    """It was told to exit by SIGTERM."""
    ORPHANED = 11
    """The master has exited."""


ProcessMain = Callable[[], "int | ProcessMain"]
"""The main function of a process. It returns the exit status or, in a process that was forked while
it ran, the main function of that process. So no process continues on top of its parent's stack."""


class Death:
    """How a process ended: its exit code, minus the signal's number, or `None` if unknown.

    It is unknown when the program ignores SIGCHLD or reaps every child itself (waitid(2)).
    """

    __slots__ = ("pid", "status")

    def __init__(self, pid: int, status: int | None) -> None:
        self.pid = pid
        self.status = status

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Death) and (self.pid, self.status) == (other.pid, other.status)

    def __hash__(self) -> int:
        return hash((self.pid, self.status))

    def __repr__(self) -> str:
        return f"Death(pid={self.pid}, status={self.status})"

    @property
    def is_violent(self) -> bool:
        """Whether the process may have been interrupted at any point of its work."""
        return self.status is None or self.status < 0

    @property
    def sentence(self) -> str:
        """How the process ended, as the predicate of a sentence."""
        if self.status is None:
            return "exited; its status was reaped elsewhere"
        if self.status >= 0:
            return f"exited with code {self.status}"
        import signal  # loaded late: only a process that was killed needs it

        try:
            name = signal.Signals(-self.status).name
        except ValueError:
            name = f"signal {-self.status}"
        return f"was killed by {name}"
