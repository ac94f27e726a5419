"""How busy the whole machine is."""

from __future__ import annotations

from pathlib import Path

from prefork.cli.load.cpu import TICK


def busy_seconds() -> float:
    """CPU time that all of the machine's processes have used, and what the hypervisor has taken."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) * TICK
