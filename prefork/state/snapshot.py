"""A pool and its machine at one moment: the input of advice.

This module has only types and arithmetic; `prefork.readings` measures the values. Figures that
accumulate are counters, so that two snapshots tell what happened in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Depth(NamedTuple):
    """The requests waiting at a listener now, the limit, and the requests dropped so far.

    `limit` is `None` if the kernel does not report it.
    """

    waiting: int
    limit: int | None
    dropped: int


class CoreTimes(NamedTuple):
    """The times of one core since the machine started, in clock ticks (10 ms)."""

    idle: int
    total: int


class QuotaTimes(NamedTuple):
    """A cgroup with a CPU quota: the quota in cores, and the CPU seconds that it has used.

    `throttled` of its `periods` (usually 100 ms each) ended with the quota used up.
    """

    cores: float
    used: float
    periods: int = 0
    throttled: int = 0


class CpuTimes(NamedTuple):
    """The CPUs at one moment; `now` is in seconds of the monotonic clock."""

    now: float
    cores: Mapping[int, CoreTimes]
    """The cores in the affinity mask of this process, by number."""
    quotas: Mapping[str, QuotaTimes]
    """The cgroups with a quota, by folder."""


class WorkerReading(NamedTuple):
    """The figures of one worker since it was forked; all times are in seconds."""

    pid: int
    age: float
    served: int
    busy: float
    """Time with at least one request in flight, including the present time so far."""
    in_flight: int
    """Requests in flight now."""
    cpu: float
    delayed: float
    """Time for which it was ready to run while all cores were in use."""
    memory: int | None
    """Bytes (PSS); `None` if the kernel does not report them."""


class PoolReading(NamedTuple):
    """A pool and its machine. `now` is in seconds of the monotonic clock."""

    now: float
    workers: tuple[WorkerReading, ...]
    depth: Depth
    max_children: int
    threads: int | None
    """Requests that a worker can serve concurrently; 0: no limit; `None`: no threads."""
    cores: int
    cpu: CpuTimes
    memory_left: int | None
    """Bytes that are left for additional workers; `None`: unknown."""
    longest_backlog: int | None
    """The kernel's upper limit for every backlog (net.core.somaxconn)."""


def cpu_left(before: CpuTimes, after: CpuTimes) -> float | None:
    """Return the share (0 to 1) of the usable cores that was idle between two moments.

    It is the smaller of two shares: that of the time for which the cores in the affinity mask were
    idle, and that of the CPU quotas of the cgroup and its ancestors that was not used. A period in
    which a quota was used up counts as having no idle time, since a few such periods hardly show in
    the seconds used. Time taken by the hypervisor (steal) counts as used, since this machine cannot
    use it. `None` if no clock tick has passed on any core.
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
