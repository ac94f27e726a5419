"""Chooses the idle worker for the next request, as the kernel does with strategy `accept`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

Request = tuple[float, float, float, float]
"""The rest of a request: CPU seconds until it waits, seconds for which it waits, CPU seconds after
that, and the time at which it arrived."""

MOST_WORKERS = 1 << 32
"""The number of worker numbers that fit into a place; those of workers that left are not reused."""


class Worker:
    """One process of the pool."""

    __slots__ = (
        "busy", "in_hand", "number", "on_cpu", "place", "runnable", "served", "since", "turns",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.in_hand = 0
        self.since = 0.0
        """The time at which it became idle or busy."""
        self.busy = 0.0
        """Busy seconds until `since`."""
        self.served = 0
        self.on_cpu: Request | None = None
        """The request whose thread holds the interpreter."""
        self.runnable: deque[Request] = deque()
        """The requests whose threads wait for the interpreter."""
        self.place = number
        self.turns = 0.0


class IdleQueue:
    """The waiting workers, each at its place in the queue; the first one is woken.

    A worker keeps its place for `turns` waits and then goes to the end, as in
    workers/sources/shared.py.
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
        """Remove the first worker and return its number."""
        return heappop(self._places) % MOST_WORKERS

    def leave(self, gone: Iterable[int]) -> None:
        """Remove the workers with these numbers."""
        gone = set(gone)
        self._places = [place for place in self._places if place % MOST_WORKERS not in gone]
        heapify(self._places)
