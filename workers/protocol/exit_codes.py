"""The exit codes of a worker, and what each means."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum


class ExitCode(IntEnum):
    """How a worker's life ended, as it told the master by its exit status."""

    DONE = 0
    """Left because it was asked to, or had served the one request it was made for."""
    CRASHED = 1
    """An exception that handlers may not raise (`SystemExit`, say) ended it, or a bug."""
    BOOT_FAILED = 3
    """It never became ready; the traceback went to the master over the channel."""
    RECYCLED = 10
    """It reached its limit of requests."""
    TERMINATED = 12
    """It was told to leave by SIGTERM."""
    ORPHANED = 11
    """The master is gone."""


ProcessMain = Callable[[], "int | ProcessMain"]
"""What a process does, to the last: it gives an exit status or, in a process that was forked
meanwhile, what that one does. So no process lives on top of another one's stack."""


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
        """Whether it may have come at any point of what the process was doing."""
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
