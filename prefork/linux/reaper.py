"""Watches children by pidfd and collects their exit statuses; never reaps any other child."""

from __future__ import annotations

import functools
import os
import select
import threading
from collections.abc import Callable

from prefork.linux.syscalls import SYSTEM, System
from prefork.workers.protocol.exit_codes import Death


class Reaper:
    """Watches children with one epoll, whose descriptor can be waited for in any selector.

    A child for which no pidfd can be opened (out of descriptors) is polled by its pid at each
    `collect()` instead.
    """

    def __init__(self, system: System = SYSTEM) -> None:
        self._system = system
        self._pids: dict[int, int] = {}
        self._pidfds: dict[int, int] = {}
        self._unwatched: set[int] = set()
        # A server may be closed by one thread while its loop runs in another: both call collect().
        self._lock = threading.RLock()
        self._epoll = select.epoll()

    def fileno(self) -> int:
        """Return the descriptor to wait for, -1 once the reaper is closed."""
        return -1 if self._epoll.closed else self._epoll.fileno()

    def __len__(self) -> int:
        return len(self._pidfds) + len(self._unwatched)

    @property
    def must_be_asked(self) -> bool:
        """Whether there is a child without a pidfd, whose exit wakes no selector."""
        return bool(self._unwatched)

    def __contains__(self, pid: int) -> bool:
        return pid in self._pidfds or pid in self._unwatched

    def adopt(self, pid: int) -> None:
        """Watch this child from now on."""
        self._unwatched.add(pid)
        try:
            pidfd = self._system.pidfd_open(pid)
            self._epoll.register(pidfd, select.EPOLLIN)
        except OSError:
            # ESRCH: reaped elsewhere. EMFILE, ENFILE: no descriptor left. Polling by pid handles
            # both.
            return
        self._pidfds[pid] = pidfd
        self._pids[pidfd] = pid
        self._unwatched.discard(pid)

    def collect(self, timeout: float | None = 0.0) -> list[Death]:
        """Collect the children that have exited since the last call.

        If there are children, it waits at most `timeout` seconds (`None` for no limit) for the
        first one to exit; it may return an empty list before that time has passed.
        """
        with self._lock:
            deaths = self._collect_unwatched()
        timeout = 0.0 if deaths or not len(self) else a_slice(timeout)
        try:
            readable = self._epoll.poll(timeout)
        except (ValueError, OSError):  # closed by another thread: it has collected everything
            return deaths
        with self._lock:
            for pidfd, _ in readable:
                if pidfd in self._pids and (death := self._ended(self._pids[pidfd], pidfd)):
                    deaths.append(death)
        return deaths

    def send_signal(self, pid: int, signo: int) -> None:
        """Signal a child; does nothing if it has exited."""
        try:
            if pid in self._pidfds:
                self._system.send_signal(self._pidfds[pid], signo)
            elif pid in self._unwatched:
                os.kill(pid, signo)
        except ProcessLookupError:
            pass  # it has exited: the next collect() returns it

    def close(self) -> None:
        """Close every descriptor, without waiting for children that still run."""
        with self._lock:
            pidfds = list(self._pids)
            self._pids.clear()
            self._pidfds.clear()
            self._unwatched.clear()
            self._epoll.close()
            for pidfd in pidfds:
                self._system.close(pidfd)

    def __del__(self) -> None:
        if hasattr(self, "_epoll"):
            self.close()  # a server may be garbage-collected while children run

    def forget(self) -> None:
        """Close the inherited copies in a forked child; the parent's are not affected."""
        self._lock = threading.RLock()  # the thread that may have held it is not in this process
        self.close()

    def _ended(self, pid: int, pidfd: int) -> Death | None:
        death = _reaped(pid, functools.partial(self._system.wait, pidfd))
        if death is None:
            return None
        # Closing is not enough: a worker that inherited the pidfd keeps it registered.
        self._epoll.unregister(pidfd)
        # Removed before it is closed: otherwise a child that another thread forks in between would
        # close another descriptor with this number.
        del self._pids[pidfd], self._pidfds[pid]
        self._system.close(pidfd)
        return death

    def _collect_unwatched(self) -> list[Death]:
        deaths = []
        for pid in list(self._unwatched):
            death = _reaped(pid, functools.partial(self._system.wait_pid, pid))
            if death is not None:
                self._unwatched.discard(pid)
                deaths.append(death)
        return deaths


def _reaped(pid: int, wait: Callable[[], os.waitid_result | None]) -> Death | None:
    """Reap a child by `wait`; return its death, without a status if another reaped it."""
    try:
        result = wait()
    except ChildProcessError:
        return Death(pid, None)
    return None if result is None else Death(pid, exit_status(result))


SLICE = 0.05
"""Maximum length of a single wait, in seconds: another thread may reap the child that is waited
for, and a child without a pidfd does not end the wait."""


def a_slice(timeout: float | None) -> float:
    """Return the first part of a wait of `timeout` seconds (`None`: without limit)."""
    return SLICE if timeout is None else min(timeout, SLICE)


def exit_status(result: os.waitid_result) -> int:
    """Return the exit code, or minus the number of the signal that killed the process."""
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
