"""The CPU time of a server: of its master and of all that descends from it.

A living process has a clock of its own, in nanoseconds (clock_getcpuclockid(3)). What its children
have used is handed on to it when they are reaped, and can be read from /proc/PID/stat only, cut to
ticks of 10 ms (proc_pid_stat(5)): an error of two ticks at most for a whole turn.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
SCHEDULED = 2
"""CPUCLOCK_SCHED of the kernel's include/linux/posix-timers.h."""
CHILDREN_USER, CHILDREN_SYSTEM = 13, 14
"""`cutime` and `cstime`, counted from the field after the name."""
ATTEMPTS = 20


def used_by_tree(pid: int) -> float:
    """Seconds of user and system time, those of reaped descendants too.

    Exact while nothing is forked or reaped; where something was, it looks again.

    Errors: `ProcessLookupError` when there is no such process, or its children never stand still.
    """
    for attempt in range(ATTEMPTS):
        try:
            return sum(map(_used_by, _tree(pid)))
        except (ProcessLookupError, FileNotFoundError):
            time.sleep(0.001 * attempt)
    raise ProcessLookupError(f"The processes below {pid} cannot be counted.")


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _used_by(pid: int) -> float:
    try:
        own = time.clock_gettime(~pid << 3 | SCHEDULED)
    except OSError as error:  # EINVAL: there is no such process
        raise ProcessLookupError(pid) from error
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return own + TICK * (int(fields[CHILDREN_USER]) + int(fields[CHILDREN_SYSTEM]))
