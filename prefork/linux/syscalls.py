"""The system calls that create, watch and end processes.

Tests replace `System` by a fake with scripted forks, exits and clock. Each function is looked up in
its module when it is called, so that a program may replace `os.fork`.
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
    """The real calls."""

    def fork(self) -> int:
        return os.fork()

    def threads(self) -> int:
        """Return the number of threads of this process."""
        return threads.count()

    def exit(self, status: int) -> NoReturn:
        os._exit(status)

    def pidfd_open(self, pid: int) -> int:
        """Return a descriptor that becomes readable when `pid` exits (pidfd_open(2), Linux 5.3)."""
        return os.pidfd_open(pid)

    def wait(self, pidfd: int) -> os.waitid_result | None:
        """Reap the process behind `pidfd` if it has exited; return `None` while it runs.

        Errors: `ChildProcessError` if it is not a child of this process, or was reaped elsewhere.
        """
        return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)

    def wait_pid(self, pid: int) -> os.waitid_result | None:
        """Do the same by pid, for a child without a pidfd."""
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)

    def await_end(self, pid: int) -> None:
        """Wait until a child has exited, without reaping it."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    def send_signal(self, pidfd: int, signo: int) -> None:
        """Signal the process behind `pidfd`, never another one with a reused pid."""
        signal.pidfd_send_signal(pidfd, signo)

    def close(self, fd: int) -> None:
        os.close(fd)

    def clock(self) -> float:
        """Return the time of the monotonic clock, in seconds."""
        return time.monotonic()


SYSTEM = System()
