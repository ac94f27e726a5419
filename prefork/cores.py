"""How many cores this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
SELF_CGROUP = Path("/proc/self/cgroup")


def usable_cores(root: Path = CGROUP_ROOT, membership: Path = SELF_CGROUP) -> int:
    """The cores of the CPU affinity (sched_getaffinity(2)), cut to the cgroup's quota.

    A quota of one and a half cores counts as two: one worker could not use it up. Only version 2
    of cgroups is read (cgroups(7), `cpu.max`); where there is none, the affinity decides alone.
    """
    cores = len(os.sched_getaffinity(0))
    quota = cgroup_quota(root, membership)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cgroup_quota(root: Path = CGROUP_ROOT, membership: Path = SELF_CGROUP) -> float | None:
    """The smallest `cpu.max` of this process's cgroup and those above it, in cores."""
    quotas = []
    for folder in _own_cgroups(root, membership):
        try:
            limit, period = (folder / "cpu.max").read_text().split()
            quotas.append(int(limit) / int(period))
        except (OSError, ValueError):
            continue  # no such file, or "max": no limit here
    return min(quotas, default=None)


def _own_cgroups(root: Path, membership: Path) -> list[Path]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = root / own.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]
