"""The CPU time of a server: of its master and of all that descends from it.

A living process has a clock of its own (clock_getcpuclockid(3)): user and system time of all its
threads, in nanoseconds, up to date at the moment of reading. The times in /proc/PID/stat come in
steps of 10 ms, which is as much as hundreds of requests cost, and schedstat knows one thread.

A process that was reaped has handed its time on to its parent. That sum is in /proc/PID/stat only
(proc_pid_stat(5)): the kernel adds it up in nanoseconds and cuts it to ticks when it is read, so a
difference is wrong by two ticks at most, however many children there were.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from prefork.readings.cpu import delay_of_process, used_by_process

TICK = 1 / os.sysconf("SC_CLK_TCK")
CHILDREN_USER, CHILDREN_SYSTEM = 13, 14
"""`cutime` and `cstime`, counted from the field after the name."""
ATTEMPTS = 20


def used_by_tree(pid: int) -> float:
    """Seconds of user and system time of a process and of all below it, those reaped too.

    Exact while nothing is forked or reaped; where something was, it looks again.

    Errors: `ProcessLookupError` when there is no such process, or its children never stand still.
    """
    return _over_tree(pid, lambda each: used_by_process(each) + _used_by_reaped(each))


def waited_by_tree(pid: int) -> float:
    """Seconds that the threads of a process and of all below it could have run, and waited for a
    core. What has ended is not in it.

    Errors: `ProcessLookupError`, as above.
    """
    return _over_tree(pid, delay_of_process)


def _over_tree(pid: int, of: Callable[[int], float]) -> float:
    for attempt in range(ATTEMPTS):
        try:
            return sum(of(each) for each in tree(pid))
        except (ProcessLookupError, FileNotFoundError):
            time.sleep(0.001 * attempt)
    raise ProcessLookupError(f"The processes below {pid} cannot be counted.")


def children(pid: int) -> list[int]:
    """The processes that this one has forked, or has become the parent of."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    return [pid, *(member for child in children(pid) for member in tree(child))]


def _used_by_reaped(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return TICK * (int(fields[CHILDREN_USER]) + int(fields[CHILDREN_SYSTEM]))
