"""How much CPU a server has used, the master and all its processes together.

A living process has a CPU clock of its own (clock_getcpuclockid(3)): user and system time of all
its threads, in nanoseconds, up to date at the moment of reading. The times in /proc/PID/stat come
in steps of 10 ms, which is as much as hundreds of requests cost, and schedstat knows one thread.

A process that was reaped has handed its time on to its parent. That sum is in /proc/PID/stat only:
the kernel adds it up in nanoseconds and cuts it to 10 ms steps when it is read, so a difference is
wrong by at most 20 ms, however many children there were. Fork-per-request servers, the only ones
that reap in a round, use a hundred times as much.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.processes import tree

TICK = 1 / os.sysconf("SC_CLK_TCK")
_CPUCLOCK_SCHED = 2  # the clock of what the scheduler has given; include/linux/posix-timers.h
_CHILDREN_USER, _CHILDREN_SYSTEM = 13, 14  # fields of /proc/PID/stat, counted after the name
_RETRIES = 20


def tree_seconds(pid: int) -> float:
    """User and system time of a process and of all that descend from it, those reaped too.

    Exact while the tree is at rest; a child that is reaped between two reads is looked for again.
    """
    for _ in range(_RETRIES):
        try:
            return sum(_seconds(member) for member in tree(pid))
        except (ProcessLookupError, FileNotFoundError):
            continue
    raise ProcessLookupError(f"The processes below {pid} change too quickly to be counted.")


def busy_seconds() -> float:
    """CPU time that all of the machine's processes have used, and what the hypervisor has taken."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) * TICK


def process_seconds(pid: int) -> float:
    """User and system time of one living process."""
    try:
        return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
    except OSError as error:  # EINVAL: no such process
        raise ProcessLookupError(pid) from error


def _seconds(pid: int) -> float:
    living = process_seconds(pid)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return living + (int(fields[_CHILDREN_USER]) + int(fields[_CHILDREN_SYSTEM])) * TICK
