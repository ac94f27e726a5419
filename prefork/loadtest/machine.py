"""Describes the machine, and measures how busy other programs keep it."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from prefork.loadtest.process_tree import used_by_tree
from prefork.readings.cores import usable_cores

BUSY = 15.0
"""Percentage of all cores above which the use by other programs is reported."""


def busy_note() -> str:
    """Return a sentence if other programs use the machine; empty otherwise."""
    busy = psutil.cpu_percent(0.3)
    return f" Other programs use {busy:.0f} % of the CPU now." if busy > BUSY else ""


def busy_seconds() -> float:
    """Return the CPU time used by all processes of the machine and by the hypervisor."""
    times = psutil.cpu_times()
    # user and nice already include the guests' time (proc_stat(5)).
    busy = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    return float(busy)


class Others:
    """Measures the CPU time of other programs since this object was created."""

    def __init__(self) -> None:
        self._began = self._now()

    @property
    def percent(self) -> float:
        """Percentage of all cores used, without this process and its descendants."""
        elapsed, total, own = (
            now - then for now, then in zip(self._now(), self._began, strict=True)
        )
        return max(0.0, 100 * (total - own) / (elapsed * (psutil.cpu_count() or 1)))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.monotonic(), busy_seconds(), used_by_tree(os.getpid())


@dataclass(frozen=True)
class Machine:
    """The machine on which a figure was measured."""

    cores: int
    """The number of cores that this process may use."""
    processor: str
    kernel: str
    python: str

    @classmethod
    def here(cls) -> Machine:
        version = re.match(r"[\d.]+", platform.release())
        return cls(
            cores=usable_cores(),
            processor=processor(),
            kernel=f"{platform.system()} {version.group() if version else platform.release()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
        )

    def __str__(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{cores} ({self.processor}), {self.kernel}, {self.python}"


def processor() -> str:
    """Return the model name in /proc/cpuinfo, which psutil does not have, or the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.machine()
