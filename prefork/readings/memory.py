"""Reads the memory that is left for more workers, and the memory that one worker uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prefork.readings.cgroups import MEMBERSHIP, ROOT, folders, number, numbers

MEMINFO = Path("/proc/meminfo")
PROCESSES = Path("/proc")


def memory_left(
    root: Path = ROOT, membership: Path = MEMBERSHIP, meminfo: Path = MEMINFO
) -> int | None:
    """Return the bytes that are free; `None` if they cannot be read.

    This is the minimum of the machine's MemAvailable and of what the limits of the cgroup and its
    ancestors leave.

    Files in the page cache count as free in a cgroup, as they do in MemAvailable (proc_meminfo(5)):
    the kernel drops them before it kills a process. Shared memory and tmpfs do not.
    """
    left = [max(0, limit - _in_use(folder)) for folder, limit in _limits(root, membership)]
    return min([*left, *_of_machine(meminfo, "MemAvailable")], default=None)


def pss(pid: int, processes: Path = PROCESSES) -> int:
    """Return a process's bytes of memory, with each shared page divided by the number of its users.

    So the sum over its workers is the memory of a pool (proc_pid_smaps(5), Linux 4.14). The kernel
    walks all pages of the process for this, which takes half a millisecond for 150 MB.

    Errors: `OSError` if it has exited, or belongs to another user.
    """
    for line in (processes / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return _kilobytes(line)
    raise ProcessLookupError(pid)  # it is a zombie


def _limits(root: Path, membership: Path) -> Iterator[tuple[Path, int]]:
    """Yield each cgroup with a limit. In version 1, "no limit" is a number above any machine's."""
    for folder in folders("memory", root, membership):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (limit := number(folder / name)) is not None:
                yield folder, limit


def _in_use(folder: Path) -> int:
    """Return the memory of a cgroup and its descendants, without files in the page cache."""
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
