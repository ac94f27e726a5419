"""Decides how often an idle worker goes to the end of the kernel's wait queue."""

from __future__ import annotations

import math

from prefork.settings import IdleOrder

LEAST = 8
"""The number of waits in a pool of up to 32 workers."""


def waits_before_requeue(order: IdleOrder, workers: int) -> float:
    """Return after how many waits a worker registers again, which moves it to the end of the queue.

    For `fifo`, registering every few waits is enough. In a large pool, a worker's memory is no
    longer in the CPU caches when its turn comes, so it then serves more requests in a row. With
    `lifo`, it keeps its place without limit.
    """
    return math.inf if order == "lifo" else max(LEAST, workers // 4)
