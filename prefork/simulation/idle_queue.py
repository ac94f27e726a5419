"""Which of the idle workers takes the next request, as the kernel chooses under `accept`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

Request = tuple[float, float, float, float]
"""What is left of one: CPU seconds until it waits, how long it waits, CPU seconds after that, and
when it came."""

MOST_WORKERS = 1 << 32
"""Numbers that fit into a place; no number is given twice, so those who have left count too."""


class Worker:
    """One process of the pool."""

    __slots__ = (
        "busy", "in_hand", "number", "on_cpu", "place", "runnable", "served", "since", "turns",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.in_hand = 0
        self.since = 0.0
        """Since when it is idle, or busy."""
        self.busy = 0.0
        """Seconds, up to `since`."""
        self.served = 0
        self.on_cpu: Request | None = None
        """The one whose thread holds the interpreter."""
        self.runnable: deque[Request] = deque()
        """Those whose threads wait for the interpreter."""
        self.place = number
        self.turns = 0.0


class IdleQueue:
    """Workers that wait, each at its place; the first one is woken.

    A worker keeps its place until it has waited so many `turns` more, then it goes to the end:
    workers/sources/shared.py does the same.
    """

    def __init__(self, turns: float) -> None:
        self._turns = turns
        self._end = 0
        self._places: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._places)

    def join(self, worker: Worker) -> None:
        worker.turns -= 1
        if worker.turns < 0:
            worker.turns = self._turns
            self._end += MOST_WORKERS
            worker.place = self._end + worker.number
        heappush(self._places, worker.place)

    def take(self) -> int:
        """The number of the first one, which waits no longer."""
        return heappop(self._places) % MOST_WORKERS

    def leave(self, gone: Iterable[int]) -> None:
        """Workers of these numbers wait no longer."""
        gone = set(gone)
        self._places = [place for place in self._places if place % MOST_WORKERS not in gone]
        heapify(self._places)
