"""Kills and reaps stray children, which an interrupted double fork leaves to the master.

A process that forks for the master changes its name while it forks, and its children inherit the
name. Even a child that is killed before its first instruction has that name, and keeps it as a
zombie. So the children of an interrupted fork can be distinguished from all others, which are left
alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from prefork.linux import prctl


@contextlib.contextmanager
def named_as_forking() -> Iterator[None]:
    """Mark this process, and those that are forked in the block, by name as part of a fork."""
    before = prctl.name()
    prctl.rename(_name_while_forking(os.getpid()))
    try:
        yield
    finally:
        prctl.rename(before)


def end_strays(parent: int, spared: int = 0) -> set[int]:
    """Kill and reap the children that process `parent` left to this process; return their pids.

    `parent` has exited or no longer forks; `spared` is the pid of a child that is recorded.
    """
    ended: set[int] = set()
    while strays := _children_named(_name_while_forking(parent)) - {parent, spared}:
        for pid in strays:
            end_child(pid)
        ended |= strays  # their children are now children of this process
    return ended


def end_child(pid: int) -> None:
    """Kill and reap a child that is not recorded."""
    with contextlib.suppress(
        ProcessLookupError, ChildProcessError
    ):  # the program reaps all children
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _name_while_forking(parent: int) -> bytes:
    return b"fork of %d" % parent  # 15 bytes with the longest possible pid


def _children_named(name: bytes) -> set[int]:
    """Return the children of this process with that name, zombies included (proc(5): stat)."""
    found = set()
    for pid in filter(str.isdigit, _listed("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            called, _, rest = file.read().partition(b"(")[2].rpartition(b")")
            if called == name and int(rest.split()[1]) == os.getpid():
                found.add(int(pid))
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # no /proc: none can be found
        return []
