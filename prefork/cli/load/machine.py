"""The machine: what it is, and whether anybody else is busy on it."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil

from prefork.cores import usable_cores

BUSY = 15.0
"""Percent of all cores that others may use without a word about it."""


def busy_note() -> str:
    """A sentence when the machine has other work; nothing when it has not."""
    busy = psutil.cpu_percent(0.3)
    return f" Something else takes {busy:.0f} % of the machine now." if busy > BUSY else ""


def described() -> dict[str, object]:
    """What a figure needs to be compared with those of another machine."""
    return {
        "cores": usable_cores(),
        "processor": _processor(),
        "memory_mb": psutil.virtual_memory().total >> 20,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _processor() -> str:
    """The name in /proc/cpuinfo; the architecture where it has none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.machine()
