"""Finds the files with the limits of this process's cgroup and its ancestors (cgroups(7)).

Version 1 has a hierarchy for each controller, version 2 has one for all; if both are mounted, a
controller belongs to one of them. In a container, the path in /proc/self/cgroup may be the host's:
folders that do not exist in the container are skipped, and the root of the hierarchy is always
read.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def folders(controller: str, root: Path = ROOT, membership: Path = MEMBERSHIP) -> list[Path]:
    """Return the folders with the files of `controller`: this cgroup's, then its ancestors'."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    unified: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return _upwards(root / controllers, path)
        if not controllers:
            mounted = root / "unified"
            unified = _upwards(mounted if mounted.exists() else root, path)
    return unified


def number(file: Path) -> int | None:
    """Return the number in a file; `None` if there is no such file, or if it contains "max"."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def numbers(file: Path) -> dict[str, int]:
    """Return the named numbers in a file such as `memory.stat`; empty if there is no such file."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    return {name: int(value) for name, _, value in (line.partition(" ") for line in lines)}


def _upwards(mounted: Path, path: str) -> list[Path]:
    own = mounted / path.lstrip("/")
    return [own, *(above for above in own.parents if above.is_relative_to(mounted))]
