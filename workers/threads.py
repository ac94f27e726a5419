"""The number of threads of this process."""

from __future__ import annotations

import os
import threading


def count() -> int:
    """Return the number of threads, including those that Python did not start (proc(5): task)."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()
