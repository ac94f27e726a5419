"""Cores and the processes on them: those parts of a scheduler that affect waiting times."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush, heapreplace
from math import ceil, inf
from random import Random

NO_PROCESS = -2

BALANCING = -1
"""Used instead of a core's number: idle cores take processes from other cores."""

TICK = 0.004
"""Seconds until an idle core notices that another core has a queue (CONFIG_HZ=250)."""

SLICE = TICK
"""Seconds for which a process keeps a core while others wait. The slice of Linux 6.15 and later is
shorter (0.7 ms on one core, 1.4 ms on two, 2.8 ms on eight or more: `se.slice` in /proc/PID/sched),
but the kernel checks whether it has ended only at the next tick."""

FULL = 1.17
"""The kernel treats a use of 1 / 1.17 as full (`imbalance_pct` of cores that share a cache)."""

LOOK = 0.064
"""Seconds between two measurements of the utilization, as in the kernel's load balancing."""


class Processors:
    """Cores, each with a queue of processes that can run, as in Linux.

    A process stays on a core until its work is done, but at most for a slice while others wait;
    then it joins the end of that core's queue. Each process has a number, and a home: the core that
    it was on last. It is on one core or in one queue.

    A process that wakes up returns to its home. If its home is taken, it looks for an idle core, as
    in Linux 5.19 and later (`SIS_UTIL`): among (1 - (1.17 used)^2) of the cores, where `used` is
    their utilization. With two cores at 60 %, it looks at none, so two processes wait in one queue
    while the other core is idle. A process changes to another queue only when a core has been idle
    for a tick.

    A fractional number of cores, as with a quota, makes all cores slower; the kernel instead stops
    the processes for the rest of a period. All cores share one cache.

    An event takes O(log n); balancing takes O(n) for each core that takes a process.
    """

    def __init__(self, cores: float, slice_: float | None, random: Random) -> None:
        self.next_event = inf
        """The time of the next event, unless a process is added before."""
        count = ceil(cores)
        self._count = count
        self._speed = cores / count
        self._slice = SLICE if slice_ is None else slice_
        self._draw = random.random
        self._now = self._used = 0.0
        self._running = 0
        self._looked = (0.0, 0.0)
        self._seen = count  # the number of cores that a process looks at to find an idle one
        self._home: dict[int, int] = {}
        self._idle: dict[int, None] = dict.fromkeys(range(count))
        self._process = [NO_PROCESS] * count
        self._work_ends = [0.0] * count  # of the process on that core
        self._slice_ends = [0.0] * count
        self._queues: list[deque[tuple[int, float]]] = [deque() for _ in range(count)]
        self._queued = 0
        # Planned events; of the events of one core, only the one with the latest stamp is valid.
        self._events: list[tuple[float, int, int]] = []
        self._stamps = [0] * (count + 1)
        self._balancing = False
        self._holder, self._held = NO_PROCESS, 0

    def used(self, now: float) -> float:
        """Return the CPU seconds that all cores together have used."""
        self._used += (now - self._now) * self._speed * self._running
        self._now = now
        return self._used

    def add(self, process: int, seconds: float, now: float, anywhere: bool = False) -> None:
        """Add work of `seconds` CPU seconds for a process; if it holds a core, its slice continues.

        `anywhere`: a packet wakes it, so it may also run where that arrived or was sent.
        """
        self.used(now)
        if process == self._holder:
            self._holder = NO_PROCESS
            self._put(self._held, process, seconds, self._slice_ends[self._held])
            return
        core = self._home.get(process, process % self._count)
        if core not in self._idle:
            core = self._other(core, anywhere)
        if core in self._idle:
            del self._idle[core]
            self._put(core, process, seconds, now + self._slice)
            return
        self._home[process] = core
        self._queues[core].append((process, seconds))
        self._queued += 1
        if len(self._queues[core]) == 1 and core != self._held_core():
            self._note(core)
        if self._idle:
            self._balance_later()

    def done(self) -> int:
        """Advance to `next_event`; return the process that has finished, or NO_PROCESS.

        A process that has finished holds its core until `release()`.
        """
        now, core, _ = self._events[0]
        self.used(now)
        if core == BALANCING:
            heappop(self._events)
            self._balance()
            return NO_PROCESS
        left = self._work_ends[core] - now
        if left > 0:
            self._rotate(core, left)
            return NO_PROCESS
        heappop(self._events)
        self._running -= 1
        self._holder, self._held = self._process[core], core
        return self._holder

    def _rotate(self, core: int, left: float) -> None:
        """Queue the process whose slice has ended, and run the first one of the queue."""
        now, queue = self._now, self._queues[core]
        queue.append((self._process[core], left * self._speed))
        process, seconds = queue.popleft()
        end, slice_end = now + seconds / self._speed, now + self._slice
        self._process[core], self._work_ends[core], self._slice_ends[core] = process, end, slice_end
        self._stamps[core] += 1
        heapreplace(self._events, (min(end, slice_end), core, self._stamps[core]))
        self._plan()

    def release(self) -> None:
        """Free the core of the process that has finished, unless it has been given more work."""
        if self._holder == NO_PROCESS:
            return
        self._holder = NO_PROCESS
        if self._queues[self._held]:
            self._next(self._held)
        else:
            self._idle[self._held] = None
            if self._queued:
                self._balance_later()
            self._plan()

    def _next(self, core: int) -> None:
        """Let the core run the first process of its queue."""
        process, seconds = self._queues[core].popleft()
        self._queued -= 1
        self._put(core, process, seconds, self._now + self._slice)

    def _put(self, core: int, process: int, seconds: float, slice_end: float) -> None:
        self._running += 1
        self._home[process] = core
        self._process[core] = process
        self._work_ends[core] = self._now + seconds / self._speed
        self._slice_ends[core] = slice_end
        self._note(core)

    def _note(self, core: int) -> None:
        """Plan the next event of a core: the end of the work, or of the slice if others wait."""
        when = self._work_ends[core]
        if self._queues[core]:
            when = min(when, max(self._slice_ends[core], self._now))
        self._stamps[core] += 1
        heappush(self._events, (when, core, self._stamps[core]))
        self._plan()

    def _plan(self) -> None:
        events, stamps = self._events, self._stamps
        while events and stamps[events[0][1]] != events[0][2]:
            heappop(events)
        self.next_event = events[0][0] if events else inf

    def _held_core(self) -> int:
        return NO_PROCESS if self._holder == NO_PROCESS else self._held

    def _other(self, home: int, anywhere: bool) -> int:
        """Return the core for a process whose home is taken."""
        if self._idle and (anywhere or self._finds()):
            return next(iter(self._idle))
        if anywhere and self._holder != NO_PROCESS and not self._queues[self._held]:
            return self._held
        return home

    def _finds(self) -> bool:
        """Whether a process that looks for an idle core finds one."""
        since, used = self._looked
        if self._now - since > LOOK:
            share = (self._used - used) / ((self._now - since) * self._speed * self._count)
            self._seen = int((1 - (FULL * share) ** 2) * self._count)
            self._looked = (self._now, self._used)
        if self._seen <= 0:
            return False
        taken = 1 - len(self._idle) / (self._count - 1)
        return self._draw() >= taken**self._seen

    def _balance_later(self) -> None:
        if not self._balancing:
            self._balancing = True
            heappush(self._events, (self._now + TICK, BALANCING, self._stamps[BALANCING]))
            self._plan()

    def _balance(self) -> None:
        """Let each idle core take a process from the longest queue."""
        self._balancing = False
        for core in list(self._idle)[: self._queued]:
            longest = max(self._queues, key=len)
            del self._idle[core]
            self._queued -= 1
            process, seconds = longest.popleft()
            self._put(core, process, seconds, self._now + self._slice)
        self._plan()
