"""The exit codes of a worker, and what each means."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Death:
    """The end of a process: exit code, or minus the signal's number, or `None` if unknown.

    It is unknown when the program ignores SIGCHLD or reaps every child itself (waitid(2)).
    """

    pid: int
    status: int | None

    @property
    def sentence(self) -> str:
        if self.status is None:
            return "ended, and somebody else collected its status"
        if self.status >= 0:
            return f"exited with code {self.status}"
        try:
            name = signal.Signals(-self.status).name
        except ValueError:
            name = f"signal {-self.status}"
        return f"was killed by {name}"
