"""How often an idle worker goes to the end of the kernel's wait queue."""

from __future__ import annotations

import math

from prefork.settings import IdleOrder

LEAST = 8
"""Waits, in a pool of up to 32 workers."""


def waits_before_requeue(order: IdleOrder, workers: int) -> float:
    """Return how many waits a worker makes before it registers anew, at the end of the queue.

    Every few waits are enough for `fifo`. In a large pool, a worker's memory has left the caches
    when its turn comes again, so it serves more requests while it is warm. With `lifo` it keeps its
    place without limit.
    """
    return math.inf if order == "lifo" else max(LEAST, workers // 4)
