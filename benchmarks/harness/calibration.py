"""How fast this machine computes."""

from __future__ import annotations

import time

from benchmarks.servers.handlers import work

SAMPLE = 20_000
TRIES = 9


def loops_for(seconds: float) -> int:
    """Return how many loops `work()` makes in this time.

    The fastest of several tries counts, since other processes can only slow it down.
    """
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        work(SAMPLE)
        best = min(best, time.perf_counter() - began)
    return int(SAMPLE * seconds / best)
