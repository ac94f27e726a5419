"""Measures how fast this machine computes."""

from __future__ import annotations

import time

from benchmarks.servers.handlers import work

SAMPLE = 20_000
TRIES = 9


def loops_for(seconds: float) -> int:
    """Return the number of loops that `work()` makes in `seconds`.

    The fastest of several tries is used, since other processes can only slow one down.
    """
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        work(SAMPLE)
        best = min(best, time.perf_counter() - began)
    return int(SAMPLE * seconds / best)
