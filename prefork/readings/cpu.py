"""Reads CPU times: the idle time of the cores, and the time that a process used or waited.

The master uses this module at each look at the load, so it does not use psutil, whose import takes
20 ms, and which has neither cgroup quotas nor the delay in the run queue.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from prefork.readings.cgroups import MEMBERSHIP, ROOT, folders, number, numbers
from prefork.readings.cores import quotas
from prefork.state.snapshot import CoreTimes, CpuTimes, QuotaTimes, cpu_left

STAT = Path("/proc/stat")
PROCESSES = Path("/proc")
IDLE = slice(3, 5)
"""Columns of a core's line in /proc/stat (proc_stat(5)): idle, and idle while waiting for I/O."""
ALL = slice(0, 8)
"""Columns that add up to the total time: user to steal. `user` includes the guests' time."""
SCHEDULED = 2
"""CPUCLOCK_SCHED of the kernel's include/linux/posix-timers.h."""


class CpuMeter:
    """Measures the idle share of the usable cores from one call to the next."""

    def __init__(self) -> None:
        self._times = cpu_times()
        self._left: float | None = None

    def left(self) -> float | None:
        """Return the share 0..1 of the usable cores that was idle since the last call.

        See `cpu_left()`. The kernel counts in ticks of 10 ms: with a second between calls, the
        result is accurate to a hundredth of a core. It is `None` until a tick has passed, and the
        previous result if this is called again within a tick.
        """
        times = cpu_times()
        left = cpu_left(self._times, times)
        if left is not None:
            self._times, self._left = times, left
        return self._left


def cpu_times(
    stat: Path = STAT, root: Path = ROOT, membership: Path = MEMBERSHIP, now: float | None = None
) -> CpuTimes:
    """Read the counters of the usable cores and of the cgroup quotas."""
    return CpuTimes(
        time.monotonic() if now is None else now,
        _cores(stat, os.sched_getaffinity(0)),
        {
            str(folder): QuotaTimes(quota, used, *_throttled(folder))
            for folder, quota in quotas(root, membership)
            if (used := _used_by_cgroup(folder, root, membership)) is not None
        },
    )


def used_by_process(pid: int) -> float:
    """Return the seconds of user and system time of a running process, with all its threads.

    It is up to date, has a resolution of nanoseconds (clock_getcpuclockid(3)), and takes one system
    call. The times in /proc/PID/stat, which psutil reads, have a resolution of 10 ms, the cost of
    hundreds of requests.

    Errors: `ProcessLookupError` if there is no such process.
    """
    try:
        return time.clock_gettime(~pid << 3 | SCHEDULED)
    except OSError as error:  # EINVAL: there is no such process
        raise ProcessLookupError(pid) from error


def delay_of_process(pid: int, processes: Path = PROCESSES) -> float:
    """Return the seconds for which threads of a process were ready to run but had no core.

    It is the sum over its present threads (/proc/PID/schedstat, see the kernel's documentation of
    sched-stats); 0 if the kernel does not count it.

    Errors: `OSError` if the process has exited.
    """
    tasks = processes / str(pid) / "task"
    waited = 0
    for thread in tasks.iterdir():
        with contextlib.suppress(
            FileNotFoundError, ProcessLookupError
        ):  # the thread has just ended
            waited += int((thread / "schedstat").read_text().split()[1])
    return waited / 1e9


def _cores(stat: Path, usable: set[int]) -> dict[int, CoreTimes]:
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return {}
    cores = {}
    for line in lines:
        name, *columns = line.split()
        if name.startswith("cpu") and name != "cpu" and int(name[3:]) in usable:
            ticks = [int(column) for column in columns]
            cores[int(name[3:])] = CoreTimes(sum(ticks[IDLE]), sum(ticks[ALL]))
    return cores


def _throttled(folder: Path) -> tuple[int, int]:
    """Return the number of quota periods, and of throttled ones; both cgroup versions have them."""
    counted = numbers(folder / "cpu.stat")
    return counted.get("nr_periods", 0), counted.get("nr_throttled", 0)


def _used_by_cgroup(folder: Path, root: Path, membership: Path) -> float | None:
    """Return seconds of CPU. In version 1 they are in another controller, possibly in another
    hierarchy."""
    if (microseconds := numbers(folder / "cpu.stat").get("usage_usec")) is not None:
        return microseconds / 1e6
    place = folder.relative_to(root).parts[1:]
    for other in folders("cpuacct", root, membership):
        if other.relative_to(root).parts[1:] == place:
            nanoseconds = number(other / "cpuacct.usage")
            return None if nanoseconds is None else nanoseconds / 1e9
    return None
