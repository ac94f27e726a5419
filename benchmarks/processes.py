"""What the kernel knows of a server's processes, beside their CPU time."""

from __future__ import annotations

import re
from pathlib import Path


def times_slept(pid: int) -> int:
    """How often a process of one thread has gone to sleep of its own accord; as often it was woken.

    Not counted is when the kernel took the core away from it (proc(5), voluntary_ctxt_switches).
    """
    return _number(f"/proc/{pid}/status", "voluntary_ctxt_switches")


def pss(pid: int) -> int:
    """Bytes of memory of a process, those that it shares counted by its share (smaps_rollup)."""
    return _number(f"/proc/{pid}/smaps_rollup", "Pss") * 1024


def _number(file: str, field: str) -> int:
    found = re.search(rf"^{field}:\s*(\d+)", Path(file).read_text(), re.MULTILINE)
    assert found, f"{file} has no {field}"
    return int(found[1])
