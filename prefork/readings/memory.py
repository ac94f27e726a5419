"""How much memory is left for more workers, and how much one uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prefork.readings.cgroups import MEMBERSHIP, ROOT, folders, number, numbers

MEMINFO = Path("/proc/meminfo")
PROCESSES = Path("/proc")


def memory_left(
    root: Path = ROOT, membership: Path = MEMBERSHIP, meminfo: Path = MEMINFO
) -> int | None:
    """The bytes that are free: the least of the machine's MemAvailable and what the limits of the
    cgroup and its ancestors leave. `None` if none of them can be read.

    Files in the page cache count as free in a cgroup as they do in MemAvailable (proc_meminfo(5)):
    the kernel drops them before it kills a process. Shared memory and tmpfs do not.
    """
    left = [max(0, limit - _in_use(folder)) for folder, limit in _limits(root, membership)]
    return min([*left, *_of_machine(meminfo, "MemAvailable")], default=None)


def pss(pid: int, processes: Path = PROCESSES) -> int:
    """The bytes of memory of a process, with each shared page divided by the number of its users.

    So the sum over its workers is the memory of a pool (proc_pid_smaps(5), Linux 4.14). The kernel
    walks all pages of the process for this: half a millisecond for 150 MB.

    Errors: `OSError` when it is gone, or belongs to another user.
    """
    for line in (processes / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return _kilobytes(line)
    raise ProcessLookupError(pid)  # it is a zombie


def _limits(root: Path, membership: Path) -> Iterator[tuple[Path, int]]:
    """Each cgroup with a limit. Version 1 has a number for "none" that is above any machine's."""
    for folder in folders("memory", root, membership):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (limit := number(folder / name)) is not None:
                yield folder, limit


def _in_use(folder: Path) -> int:
    """The memory of a cgroup and its descendants, without files in the page cache."""
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
