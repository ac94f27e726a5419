"""Processes of a birth that was interrupted: ended and collected by the master they have come to.

Whoever forks a process for the master calls itself so meanwhile, and who is forked then inherits
the name: also a process that is killed before its first instruction has it, and keeps it as a
zombie. So those of a birth can be told from all other children, of which none is touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from prefork.linux import prctl


@contextlib.contextmanager
def named_as_forking() -> Iterator[None]:
    """In the block, and until its end in whoever is forked in it, the name is that of a birth."""
    before = prctl.name()
    prctl.rename(_name_of_a_birth(os.getpid()))
    try:
        yield
    finally:
        prctl.rename(before)


def end_strays(forker: int, spared: int = 0) -> set[int]:
    """End what `forker` has forked for a birth, and collect it; the pids.

    `forker` has ended, or forks nobody any more; `spared` is the pid of who is born already.
    """
    ended: set[int] = set()
    while strays := _children_named(_name_of_a_birth(forker)) - {forker, spared}:
        for pid in strays:
            end_child(pid)
        ended |= strays  # one that had a child has left it to us
    return ended


def end_child(pid: int) -> None:
    """End a child of which nobody else knows, and collect it."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):  # the program reaps everybody
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _name_of_a_birth(forker: int) -> bytes:
    return b"fork of %d" % forker  # 15 bytes with the longest pid there is


def _children_named(name: bytes) -> set[int]:
    """The children of this process with that name, zombies too (proc(5): stat)."""
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
    except OSError:  # no /proc: nobody can be found
        return []
