"""Reads the number of cores that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from prefork.readings.cgroups import MEMBERSHIP, ROOT, folders, number


def usable_cores(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """Return the number of cores in the CPU affinity (sched_getaffinity(2)), limited by the quota.

    The cgroup's quota is rounded up: one worker could not use all of one and a half cores.
    """
    cores = len(os.sched_getaffinity(0))
    quota = cgroup_quota(root, membership)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cgroup_quota(root: Path = ROOT, membership: Path = MEMBERSHIP) -> float | None:
    """Return the smallest quota of this process's cgroup and its ancestors, in cores."""
    return min((quota for _, quota in quotas(root, membership)), default=None)


def quotas(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Iterator[tuple[Path, float]]:
    """Yield each cgroup with a quota, and the quota in cores.

    Version 2 has it in `cpu.max`, version 1 in `cpu.cfs_quota_us`, where -1 means none.
    """
    for folder in folders("cpu", root, membership):
        period = number(folder / "cpu.cfs_period_us")
        quota = number(folder / "cpu.cfs_quota_us")
        if quota is None:
            quota, period = _cpu_max(folder)
        if quota is not None and period and quota > 0:
            yield folder, quota / period


def _cpu_max(folder: Path) -> tuple[int | None, int]:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return int(quota), int(period)
    except (OSError, ValueError):
        return None, 0  # no such file, or "max": no limit here
