"""How much memory there is for more workers, and how much one takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prefork.readings.cgroups import MEMBERSHIP, ROOT, folders, number, numbers

MEMINFO = Path("/proc/meminfo")
PROCESSES = Path("/proc")


def memory_limit(
    root: Path = ROOT, membership: Path = MEMBERSHIP, meminfo: Path = MEMINFO
) -> int | None:
    """The bytes that this process and its workers can have at most: the least of the machine's and
    the limits of its cgroup and those above it. `None` where nothing says it."""
    limits = [limit for _, limit in _limits(root, membership)]
    return min([*limits, *_of_machine(meminfo, "MemTotal")], default=None)


def memory_left(
    root: Path = ROOT, membership: Path = MEMBERSHIP, meminfo: Path = MEMINFO
) -> int | None:
    """The bytes that are free for more: the least of the machine's MemAvailable and what the limits
    of the cgroup and those above it leave. `None` where nothing says it.

    Files in the page cache count as free in a cgroup as they do in MemAvailable (proc_meminfo(5)):
    the kernel drops them before it kills anybody. Shared memory and tmpfs do not.
    """
    left = [max(0, limit - _in_use(folder)) for folder, limit in _limits(root, membership)]
    return min([*left, *_of_machine(meminfo, "MemAvailable")], default=None)


def pss(pid: int, processes: Path = PROCESSES) -> int:
    """The bytes of memory that a process has, shared pages divided by those who share them.

    Adding up what its workers take gives what a pool takes (proc_pid_smaps(5), Linux 4.14). The
    kernel walks all pages of the process for this: half a millisecond for 150 MB.

    Errors: `OSError` when it is gone, or another user's.
    """
    for line in (processes / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return _kilobytes(line)
    raise ProcessLookupError(pid)  # it has ended, and is a zombie


def _limits(root: Path, membership: Path) -> Iterator[tuple[Path, int]]:
    """Each cgroup that has a limit. Version 1 writes a number for "none" that no machine has."""
    for folder in folders("memory", root, membership):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (limit := number(folder / name)) is not None:
                yield folder, limit


def _in_use(folder: Path) -> int:
    """What a cgroup and those below it have, but for files that are in the page cache only."""
    counted = numbers(folder / "memory.stat")
    if (used := number(folder / "memory.current")) is not None:
        files = "inactive_file", "active_file"
    else:
        used = number(folder / "memory.usage_in_bytes") or 0
        files = "total_inactive_file", "total_active_file"
    return used - sum(counted.get(name, 0) for name in files)


def _of_machine(meminfo: Path, name: str) -> list[int]:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return []
    return [_kilobytes(line) for line in lines if line.startswith(f"{name}:")]


def _kilobytes(line: str) -> int:
    return int(line.split()[1]) * 1024
