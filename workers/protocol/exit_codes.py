"""The exit codes of a worker, and what each means."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum


class ExitCode(IntEnum):
    """Why a worker exited, as the master reads it from the exit status."""

    DONE = 0
    """It was asked to retire, or has served the one request that it was forked for."""
    CRASHED = 1
    """An exception that a handler may not raise (`SystemExit`, for example) ended it, or a bug."""
    BOOT_FAILED = 3
    """It never became ready; the traceback went to the master over the channel."""
    RECYCLED = 10
    """It reached its limit of requests."""
    TERMINATED = 12
    """It was told to exit by SIGTERM."""
    ORPHANED = 11
    """The master has exited."""


ProcessMain = Callable[[], "int | ProcessMain"]
"""All that a process runs: it returns the exit status or, in a process that was forked meanwhile,
what that process runs. So no process continues on top of its parent's stack."""


class Death:
    """The end of a process: exit code, or minus the signal's number, or `None` if unknown.

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
        """Whether it may have happened at any point of what the process was doing."""
        return self.status is None or self.status < 0

    @property
    def sentence(self) -> str:
        """How the process ended, as the predicate of a sentence."""
        if self.status is None:
            return "exited; its status was reaped elsewhere"
        if self.status >= 0:
            return f"exited with code {self.status}"
        import signal  # a request's way needs no names of signals

        try:
            name = signal.Signals(-self.status).name
        except ValueError:
            name = f"signal {-self.status}"
        return f"was killed by {name}"
