"""How many threads this process has."""

from __future__ import annotations

import os
import threading


def count() -> int:
    """All threads of this process, also those that Python does not know (proc(5): task)."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()
