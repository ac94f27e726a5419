"""The cores, and who is on them."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf


class Processors:
    """Cores that all who can run share equally, as if slices were infinitely short.

    Each of *n* runs at the speed min(1, cores / n). So all of them make the same progress, and one
    clock says how much: `progress`, the CPU seconds that somebody has got who has always been here.
    Who comes with some work is done when the clock has gone that far; who comes later does not
    change the order, so a heap holds it, and every event costs O(log n).
    """

    def __init__(self, cores: float) -> None:
        self.used = 0.0
        """CPU seconds of all together."""
        self.due = inf
        """When the next one is done, if nobody comes before."""
        self._cores = cores
        self._now = 0.0
        self._progress = 0.0
        self._jobs: list[tuple[float, int]] = []

    def add(self, seconds: float, who: int, now: float) -> None:
        """Somebody has work for so many seconds of a core."""
        jobs = self._jobs
        if jobs:
            self.advance(now)
        else:
            self._now = now
        heappush(jobs, (self._progress + seconds, who))
        running = len(jobs)
        left = jobs[0][0] - self._progress
        self.due = now + (left if running <= self._cores else left * running / self._cores)

    def done(self) -> int:
        """It is `due`: who has finished."""
        now = self.due
        jobs = self._jobs
        running = len(jobs)
        goal, who = heappop(jobs)
        self.used += (goal - self._progress) * running
        self._progress = goal
        self._now = now
        if running == 1:
            self.due = inf
        else:
            running -= 1
            left = jobs[0][0] - goal
            self.due = now + (left if running <= self._cores else left * running / self._cores)
        return who

    def advance(self, now: float) -> None:
        """Bring `used` up to date."""
        running = len(self._jobs)
        speed = 1.0 if running <= self._cores else self._cores / running
        progress = (now - self._now) * speed
        self._progress += progress
        self.used += progress * running
        self._now = now
