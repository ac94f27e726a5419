"""How often idle workers take turns."""

from __future__ import annotations

import math

from prefork.settings import IdleOrder

LEAST = 8


def turns_of(order: IdleOrder, workers: int) -> float:
    """Waits after which one of so many workers goes to the end of the line.

    Every few are enough to be `fifo`. In a large pool a worker's memory has left the caches by the
    time that its turn comes again: it serves some more while it is warm.
    """
    return math.inf if order == "lifo" else max(LEAST, workers // 4)
