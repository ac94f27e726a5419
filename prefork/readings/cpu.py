"""How much of the processors is left, and how much a process has used."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from prefork.readings.cgroups import MEMBERSHIP, ROOT, folders, number, numbers
from prefork.readings.cores import quotas

STAT = Path("/proc/stat")
PROCESSES = Path("/proc")
IDLE = slice(3, 5)
"""Columns of a core's line in /proc/stat (proc_stat(5)): idle, and idle with a disk to wait for."""
ALL = slice(0, 8)
"""Columns that add up to all time: user to steal. What guests use is in `user` already."""
SCHEDULED = 2
"""CPUCLOCK_SCHED of the kernel's include/linux/posix-timers.h."""


class CoreTimes(NamedTuple):
    """Of one core since the machine has started, in ticks (10 ms)."""

    idle: int
    total: int


class QuotaTimes(NamedTuple):
    """Of a cgroup that may use so many cores: the seconds of CPU that it has used.

    And in how many of its periods (100 ms, usually) it has used up what it has in each.
    """

    cores: float
    used: float
    periods: int = 0
    throttled: int = 0


class CpuTimes(NamedTuple):
    """The processors at one moment, `now` in seconds of the monotonic clock."""

    now: float
    cores: dict[int, CoreTimes]
    """Of the cores that this process may run on, by their numbers."""
    quotas: dict[Path, QuotaTimes]


class CpuMeter:
    """How much of the usable cores is idle, from one call to the next."""

    def __init__(self) -> None:
        self._times = cpu_times()
        self._left: float | None = None

    def left(self) -> float | None:
        """The share 0..1 of the usable cores that was idle since the last call; see `cpu_left()`.

        The kernel counts in ticks of 10 ms: with a second between calls it is right to one
        hundredth of a core. `None` while nothing is known; what was said last when it is asked
        again within a tick.
        """
        times = cpu_times()
        left = cpu_left(self._times, times)
        if left is not None:
            self._times, self._left = times, left
        return self._left


def cpu_times(
    stat: Path = STAT, root: Path = ROOT, membership: Path = MEMBERSHIP, now: float | None = None
) -> CpuTimes:
    """The processors as they are now."""
    return CpuTimes(
        time.monotonic() if now is None else now,
        _cores(stat, os.sched_getaffinity(0)),
        {
            folder: QuotaTimes(quota, used, *_throttled(folder))
            for folder, quota in quotas(root, membership)
            if (used := _used_by_cgroup(folder, root, membership)) is not None
        },
    )


def cpu_left(before: CpuTimes, after: CpuTimes) -> float | None:
    """The share 0..1 of the usable cores that was idle between two moments.

    What the cores of the affinity had left, or what a quota of the cgroup or of one above it had,
    whichever is less. A quota has nothing left in a period in which it was used up: two or three of
    these are too few to tell it from the seconds. What the hypervisor took (steal) counts as used:
    nobody here could have it. `None` where no tick has passed on any core.
    """
    cores = before.cores.keys() & after.cores.keys()
    idle = sum(after.cores[core].idle - before.cores[core].idle for core in cores)
    total = sum(after.cores[core].total - before.cores[core].total for core in cores)
    if total <= 0:
        return None
    usable, left = float(len(cores)), len(cores) * idle / total
    for folder in before.quotas.keys() & after.quotas.keys():
        was, now = before.quotas[folder], after.quotas[folder]
        spent = (now.used - was.used) / (after.now - before.now)
        throttled = (now.throttled - was.throttled) / max(1, now.periods - was.periods)
        usable, left = min(usable, now.cores), min(left, (now.cores - spent) * (1 - throttled))
    return min(1.0, max(0.0, left / usable))


def used_by_process(pid: int) -> float:
    """The seconds of user and system time of a living process, of all its threads.

    In nanoseconds, and up to date (clock_getcpuclockid(3)); it costs one system call.

    Errors: `ProcessLookupError`.
    """
    try:
        return time.clock_gettime(~pid << 3 | SCHEDULED)
    except OSError as error:  # EINVAL: there is no such process
        raise ProcessLookupError(pid) from error


def delay_of_process(pid: int, processes: Path = PROCESSES) -> float:
    """The seconds in which threads of a living process were ready to run and had no core.

    The sum of those that live (/proc/PID/schedstat in the kernel's documentation of sched-stats);
    0 where the kernel does not count it.

    Errors: `OSError` when it is gone.
    """
    tasks = processes / str(pid) / "task"
    waited = 0
    for thread in tasks.iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
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
    """Periods, and how many of these were throttled; both versions count alike."""
    counted = numbers(folder / "cpu.stat")
    return counted.get("nr_periods", 0), counted.get("nr_throttled", 0)


def _used_by_cgroup(folder: Path, root: Path, membership: Path) -> float | None:
    """Seconds. Version 1 counts in a controller of its own, perhaps in another hierarchy."""
    if (microseconds := numbers(folder / "cpu.stat").get("usage_usec")) is not None:
        return microseconds / 1e6
    place = folder.relative_to(root).parts[1:]
    for other in folders("cpuacct", root, membership):
        if other.relative_to(root).parts[1:] == place:
            nanoseconds = number(other / "cpuacct.usage")
            return None if nanoseconds is None else nanoseconds / 1e9
    return None
