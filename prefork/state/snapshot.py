"""A pool and its machine at one moment: what advice is made of.

Types and arithmetic only; `prefork.readings` fills them. All figures are counters, so that two
snapshots say what happened in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Depth(NamedTuple):
    """Requests that wait at a listener now, how many can, and how many were turned away so far.

    `limit` is `None` where the kernel does not report it.
    """

    waiting: int
    limit: int | None
    dropped: int


class CoreTimes(NamedTuple):
    """One core since the machine started, in clock ticks (10 ms)."""

    idle: int
    total: int


class QuotaTimes(NamedTuple):
    """A cgroup with a CPU quota: its quota in cores, and the seconds of CPU that it has used.

    `throttled` of its `periods` (usually 100 ms each) ended with the quota used up.
    """

    cores: float
    used: float
    periods: int = 0
    throttled: int = 0


class CpuTimes(NamedTuple):
    """The processors at one moment; `now` is in seconds of the monotonic clock."""

    now: float
    cores: Mapping[int, CoreTimes]
    """The cores in this process's affinity mask, by number."""
    quotas: Mapping[str, QuotaTimes]
    """The cgroups with a quota, by folder."""


class WorkerReading(NamedTuple):
    """One worker since it was forked; all times are in seconds."""

    pid: int
    age: float
    served: int
    busy: float
    """Time with at least one request in hand, including the present one so far."""
    in_flight: int
    """Requests in hand now."""
    cpu: float
    delayed: float
    """Time for which it was ready to run while all cores were taken."""
    memory: int | None
    """Bytes (PSS); `None` where the kernel does not report them."""


class PoolReading(NamedTuple):
    """A pool and its machine. `now` is in seconds of the monotonic clock."""

    now: float
    workers: tuple[WorkerReading, ...]
    depth: Depth
    max_children: int
    threads: int | None
    """Requests that a worker can serve concurrently, 0: no limit; `None` without threads."""
    cores: int
    cpu: CpuTimes
    memory_left: int | None
    """Bytes for more workers than these; `None`: unknown."""
    longest_backlog: int | None
    """The kernel's upper limit for every backlog (net.core.somaxconn)."""


def cpu_left(before: CpuTimes, after: CpuTimes) -> float | None:
    """The share 0..1 of the usable cores that was idle between two moments.

    It is the smaller of what the cores of the affinity mask left idle and what the CPU quotas of
    the cgroup and its ancestors left unused. In a period in which a quota was used up it left
    nothing; two or three such periods are too few to show in the seconds. Time taken by the
    hypervisor (steal) counts as used, because this machine cannot use it. `None` if no clock tick
    has passed on any core.
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
