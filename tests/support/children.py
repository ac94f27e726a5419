"""Child processes of a test: forked here, waited for here, and always reaped."""

import contextlib
import ctypes
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.deadlines import ENDING, Deadline, DeadlinePassed

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Make orphaned descendants children of this process from now on, so that none is missed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


_TICKS = os.sysconf("SC_CLK_TCK")
_epoch = 0


def begin_epoch() -> int:
    """Note the start of a test; return it in clock ticks since the boot."""
    global _epoch
    _epoch = ticks()
    return _epoch


def ticks() -> int:
    """Return the clock ticks since the boot, in which the kernel counts starts of processes."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS)


def children() -> set[int]:
    """The pids of this process's children, from whichever thread they were forked; with zombies.

    Processes forked before the present test are left out: an orphan of an earlier test may become a
    child of this process late.
    """
    return {pid for pid in all_children() if started(pid) >= _epoch}


def all_children() -> set[int]:
    return children_of(os.getpid())


def children_of(pid: int) -> set[int]:
    """The same for any process; a process that is gone has no children."""
    pids: set[int] = set()
    with contextlib.suppress(OSError):  # the process has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # the thread has just ended
                pids.update(int(word) for word in (task / "children").read_text().split())
    return pids


def command_of(pid: int) -> str:
    """The command line or title of a process as `ps` shows it; empty for a zombie."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode(errors="replace").strip()


def state_of(pid: int) -> str:
    """The kernel's letter for the state of a process (``Z`` is a zombie), ``""`` if it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return status.rpartition(")")[2].split()[0]


def started(pid: int) -> int:
    """When a process was forked, in clock ticks since the boot (proc(5): stat); 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[19])


def has_ended(pid: int, seconds: float = ENDING) -> bool:
    """Wait until *pid* has ended, reaped or not; return false if it still runs after *seconds*."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        deadline = Deadline(seconds)
        while not select.select([descriptor], [], [], deadline.remaining())[0]:
            if deadline.passed:
                return False
        return True
    finally:
        os.close(descriptor)


def exit_code(pid: int, seconds: float = ENDING) -> int:
    """Reap a child and return its exit code (negative: the signal that killed it)."""
    _demand_the_end_of(pid, seconds)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def peek_exit_code(pid: int, seconds: float = ENDING) -> int:
    """Like `exit_code`, but leave the child to be reaped elsewhere."""
    _demand_the_end_of(pid, seconds)
    result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert result is not None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _demand_the_end_of(pid: int, seconds: float) -> None:
    if not has_ended(pid, seconds):
        raise DeadlinePassed(f"child {pid} still runs after {seconds:g} s")


def kill_and_reap(pid: int) -> None:
    """Kill a child and reap it; do nothing if it is already gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def reap_orphans(*pids: int, seconds: float = ENDING) -> list[int]:
    """Reap adopted processes (all children, if none is named); return their exit codes.

    For tests in which a process deliberately ends before its own children do.
    """
    deadline = Deadline(seconds)
    return [exit_code(pid, deadline.remaining()) for pid in (pids or sorted(children()))]


def fork_and_run(body: Callable[[], object]) -> int:
    """Fork a child that runs *body* and exits with 0, or with 1 and a traceback if that raised."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        body()
        code = 0
    except BaseException:  # nothing may propagate from the child into the test runner
        traceback.print_exc()
    finally:
        os._exit(code)


class Child:
    """A forked process that runs one function in its main thread."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._maker = os.getpid()
        self._code: int | None = None

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def exit_code(self, seconds: float = ENDING) -> int:
        """Wait for its end; 0 if the function returned, 1 if it raised, negative for a signal."""
        if self._code is None:
            self._code = exit_code(self.pid, seconds)
        return self._code

    def dispose(self) -> None:
        """Kill it if it still runs; do nothing in any process but the one that forked it."""
        if os.getpid() == self._maker and self._code is None:
            kill_and_reap(self.pid)
            self._code = -signal.SIGKILL


@contextlib.contextmanager
def child_running(body: Callable[[], object]) -> Iterator[Child]:
    """Fork a child that runs *body*; at the end of the block, wait for it and kill it if needed."""
    child = Child(fork_and_run(body))
    try:
        yield child
        child.exit_code()
    finally:
        child.dispose()
