"""The few calls into the operating system by which processes are made, watched and ended.

This is the seam for tests: a fake with the same methods scripts forks, exits and the clock. Each
call is looked up in its module when it is made: programs that replace `os.fork` are obeyed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from prefork.workers import threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class System:
    """Linux as it is."""

    def fork(self) -> int:
        return os.fork()

    def threads(self) -> int:
        """How many threads this process has."""
        return threads.count()

    def exit(self, status: int) -> NoReturn:
        os._exit(status)

    def pidfd_open(self, pid: int) -> int:
        """A descriptor that becomes readable when `pid` ends (pidfd_open(2), Linux 5.3)."""
        return os.pidfd_open(pid)

    def wait(self, pidfd: int) -> os.waitid_result | None:
        """Collect the process behind `pidfd` if it has ended; `None` while it runs.

        Errors: `ChildProcessError` when it is not our child, or somebody else has reaped it.
        """
        return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)

    def wait_pid(self, pid: int) -> os.waitid_result | None:
        """The same by number, for a child that has no pidfd."""
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)

    def await_end(self, pid: int) -> None:
        """Wait until a child has ended, and leave it to be collected."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    def send_signal(self, pidfd: int, signo: int) -> None:
        """Signal the process behind `pidfd`: it cannot hit another one with a reused number."""
        signal.pidfd_send_signal(pidfd, signo)

    def close(self, fd: int) -> None:
        os.close(fd)

    def clock(self) -> float:
        """Seconds of the monotonic clock, the one that deadlines are counted on."""
        return time.monotonic()


SYSTEM = System()
