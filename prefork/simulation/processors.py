"""The cores, and who is on them: what matters of a scheduler for those who wait for it."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush, heapreplace
from math import ceil, inf
from random import Random

NOBODY = -2

BALANCING = -1
"""In the place of a core: an idle one helps another out."""

TICK = 0.004
"""Seconds until an idle core hears that others have a queue (CONFIG_HZ=250)."""

SLICE = TICK
"""Seconds of a core while others wait for it. A slice of Linux 6.15 and later is shorter (0.7 ms of
one core, 1.4 of two, 2.8 of eight or more: `se.slice` of /proc/PID/sched), but whether it is over
the kernel looks at the next tick only."""

FULL = 1.17
"""The kernel takes a use of 1 / 1.17 for full (`imbalance_pct` of the cores that share a cache)."""

LOOK = 0.064
"""Seconds between two looks at how much the cores are used, as when the kernel balances them."""


class Processors:
    """Cores, each with a queue of those who can run, as Linux has them.

    Who is on a core stays there until its work is done; while others wait, at most for a slice, and
    then joins the end of that core's queue. Everybody has a number and a home, the core that it was
    on last, and is here once at a time.

    Who wakes up goes home. If the home is taken it looks for an idle core, as the kernel does since
    Linux 5.19 (`SIS_UTIL`): at so many cores as are left of (1 - (1.17 used)^2), where `used` is
    their share in use; above 60 % of two cores that is none, so the two waits in one queue while
    the other core is idle. Nobody leaves a queue but when a core has been idle for a tick.

    A part of a core, as a quota gives it, makes all of them slower; the kernel stops them for the
    rest of a period instead. All cores share one cache.

    An event costs O(log n), a balance O(n) for each core that helps out.
    """

    def __init__(self, cores: float, slice_: float | None, random: Random) -> None:
        self.next_event = inf
        """When the next event is, if nobody comes before."""
        count = ceil(cores)
        self._count = count
        self._speed = cores / count
        self._slice = SLICE if slice_ is None else slice_
        self._draw = random.random
        self._now = self._used = 0.0
        self._running = 0
        self._looked = (0.0, 0.0)
        self._seen = count  # cores at which one looks for an idle one
        self._home: dict[int, int] = {}
        self._idle: dict[int, None] = dict.fromkeys(range(count))
        self._who = [NOBODY] * count
        self._work_ends = [0.0] * count  # of who is there
        self._slice_ends = [0.0] * count
        self._queues: list[deque[tuple[int, float]]] = [deque() for _ in range(count)]
        self._queued = 0
        # What is to happen; of the events of one core, the one with its last stamp is valid.
        self._events: list[tuple[float, int, int]] = []
        self._stamps = [0] * (count + 1)
        self._balancing = False
        self._holder, self._held = NOBODY, 0

    def used(self, now: float) -> float:
        """CPU seconds of all together."""
        self._used += (now - self._now) * self._speed * self._running
        self._now = now
        return self._used

    def add(self, who: int, seconds: float, now: float, anywhere: bool = False) -> None:
        """Somebody has work for so many seconds of a core. Who holds one goes on in its slice.

        `anywhere`: it is woken by a packet, and may also run where that has come in, or was sent.
        """
        self.used(now)
        if who == self._holder:
            self._holder = NOBODY
            self._put(self._held, who, seconds, self._slice_ends[self._held])
            return
        core = self._home.get(who, who % self._count)
        if core not in self._idle:
            core = self._other(core, anywhere)
        if core in self._idle:
            del self._idle[core]
            self._put(core, who, seconds, now + self._slice)
            return
        self._home[who] = core
        self._queues[core].append((who, seconds))
        self._queued += 1
        if len(self._queues[core]) == 1 and core != self._held_core():
            self._note(core)
        if self._idle:
            self._balance_later()

    def done(self) -> int:
        """It is `next_event`: who has finished; NOBODY if something else had to be done.

        Who has finished holds its core until `release()`.
        """
        now, core, _ = self._events[0]
        self.used(now)
        if core == BALANCING:
            heappop(self._events)
            self._balance()
            return NOBODY
        left = self._work_ends[core] - now
        if left > 0:
            self._rotate(core, left)
            return NOBODY
        heappop(self._events)
        self._running -= 1
        self._holder, self._held = self._who[core], core
        return self._holder

    def _rotate(self, core: int, left: float) -> None:
        """The slice is over: the first of the queue takes the core, who was there goes behind."""
        now, queue = self._now, self._queues[core]
        queue.append((self._who[core], left * self._speed))
        who, seconds = queue.popleft()
        end, slice_end = now + seconds / self._speed, now + self._slice
        self._who[core], self._work_ends[core], self._slice_ends[core] = who, end, slice_end
        self._stamps[core] += 1
        heapreplace(self._events, (min(end, slice_end), core, self._stamps[core]))
        self._plan()

    def release(self) -> None:
        """Whoever has finished and has no more work leaves its core to the next one."""
        if self._holder == NOBODY:
            return
        self._holder = NOBODY
        if self._queues[self._held]:
            self._next(self._held)
        else:
            self._idle[self._held] = None
            if self._queued:
                self._balance_later()
            self._plan()

    def _next(self, core: int) -> None:
        """The core takes the first of its queue."""
        who, seconds = self._queues[core].popleft()
        self._queued -= 1
        self._put(core, who, seconds, self._now + self._slice)

    def _put(self, core: int, who: int, seconds: float, slice_end: float) -> None:
        self._running += 1
        self._home[who] = core
        self._who[core] = who
        self._work_ends[core] = self._now + seconds / self._speed
        self._slice_ends[core] = slice_end
        self._note(core)

    def _note(self, core: int) -> None:
        """The next event of this core: the end of its work, or of its slice while others wait."""
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
        return NOBODY if self._holder == NOBODY else self._held

    def _other(self, home: int, anywhere: bool) -> int:
        """Where one goes whose home is taken."""
        if self._idle and (anywhere or self._finds()):
            return next(iter(self._idle))
        if anywhere and self._holder != NOBODY and not self._queues[self._held]:
            return self._held
        return home

    def _finds(self) -> bool:
        """Whether one who looks for an idle core happens to see one."""
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
        """Each idle core takes one from the longest queue."""
        self._balancing = False
        for core in list(self._idle)[: self._queued]:
            longest = max(self._queues, key=len)
            del self._idle[core]
            self._queued -= 1
            who, seconds = longest.popleft()
            self._put(core, who, seconds, self._now + self._slice)
        self._plan()
