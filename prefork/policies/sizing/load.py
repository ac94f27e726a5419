"""`load`: enough workers so that clients do not wait, but no more than the machine can use."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prefork.policies.sizing.base import Bound, Decision, LoadSample, Sizing, percent
from prefork.policies.sizing.history import Average, Peak
from prefork.settings import Limits

LOOK_INTERVAL = 0.25
REST_INTERVAL = 0.5
"""Seconds until the next look at an idle pool: the default poll interval of the loop."""

BUSY_ENOUGH = 0.75
"""Share of the time for which workers should be busy; the rest allows for random arrivals."""

SATURATED = 0.1
"""Share of idle CPU below which more workers would only take CPU from each other."""

LITTLE = 0.001
"""Share of used CPU that is assumed if the measured one is smaller."""

AVERAGED = 1.0
"""Seconds over which the work and the idle CPU are averaged."""

WORTH_IT = 2 / 3
"""Maximum share of its size to which a pool shrinks, unless it shrinks to its minimum."""

CLEARLY = 2
"""Factor by which the need must exceed the size so that one look is enough to grow; otherwise, two
looks in a row are required."""

MOST_PATIENT = 8
"""Maximum multiple of `idle_timeout` for which workers are kept, if the pool often had to grow soon
after it had shrunk."""


class ByLoad(Sizing):
    """Adds workers when workers are busy or clients wait, if CPU and memory suffice.

    The need is the average work plus the waiting requests, with some idle time. While the pool is
    smaller than that, it adds 1, 2, 4, ... workers. Up to one worker more than there are cores,
    another worker always helps; beyond that, the idle CPU limits the number.

    It retires workers that were not needed at any look for `idle_timeout` seconds. If it has to
    grow soon after that, it waits twice as long the next time, and so on.
    """

    reads_machine = True
    interval = LOOK_INTERVAL

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._in_use = Average(AVERAGED)
        self._cpu_left = Average(AVERAGED)
        self._needed = Peak()
        self._usable = 1.0  # share of the CPU
        self._short = False
        self._step = 1
        self._patience = 1  # times idle_timeout
        self._gave_up: float | None = None  # when, if it has not grown since

    def _decide(self, load: LoadSample) -> Decision:
        needed = self._note(load)
        short_before, self._short = self._short, needed > self.wanted
        if not self._short:
            self._step = 1
            decision = self._shrink(load)
        elif not (short_before or needed >= CLEARLY * self.wanted):
            decision = self._stay()
        elif load.persistent < self.wanted or load.starting * 4 > load.persistent:
            # The workers of the last step are not ready yet. A few may be replacements.
            decision = self._stay()
        else:
            decision = self._grow(load, needed)
        quiet = decision.wanted == self.limits.least and not (load.in_use or load.waiting)
        self.interval = REST_INTERVAL if quiet else LOOK_INTERVAL
        return decision

    def _note(self, load: LoadSample) -> int:
        """Record this look; return how many workers the load needs, regardless of the limits."""
        now, present = load.now, load.in_use
        average = self._in_use.note(now, present)
        self._needed.note(now, self.limits.bound(_workers_for(present + load.waiting)))
        if load.cpu_left is not None:
            # The CPU must be idle now, and must have been idle on average.
            self._usable = min(load.cpu_left, self._cpu_left.note(now, load.cpu_left))
        # If no client waits, only work that has lasted for a while and still lasts is counted.
        work = max(average, present) if load.waiting else min(average, present)
        return _workers_for(work + load.waiting)

    def _grow(self, load: LoadSample, needed: int) -> Decision:
        bound = min(self._bounds(load), key=lambda each: each.workers)
        goal = min(self.wanted + self._step, needed, bound.workers)
        if goal <= self.wanted:
            return self._stay_within(bound, load)
        self._step *= 2
        self._note_growth(load.now)
        cpu = "" if load.cpu_left is None else f", {percent(load.cpu_left)} of the CPU is idle"
        return Decision(goal, f"{load.in_words}{cpu}")

    def _bounds(self, load: LoadSample) -> Iterator[Bound]:
        """Yield all bounds; those that no setting can change come first, and win in a tie."""
        figures = f"{percent(self._usable)} of the CPU is idle, {load.in_words}"
        suffices = max(self._cpu_suffices_for(load), load.cores + 1)
        yield Bound(suffices, "the CPU is saturated", figures)
        if load.memory_room is not None:
            fit = load.persistent + load.memory_room
            yield Bound(fit, "no more workers fit into memory", load.in_words)
        yield self._max_children(load)

    def _cpu_suffices_for(self, load: LoadSample) -> int:
        """Return how many workers would use all of the CPU, if each used as much as a busy one.

        CPU that other programs use is attributed to the workers, so the number may be too low. It
        is therefore at least one more than now while some CPU is idle.
        """
        if self._usable < SATURATED:
            return self.wanted
        used = max(1.0 - self._usable, LITTLE)
        return max(self.wanted + 1, int(load.in_use / used))

    def _note_growth(self, now: float) -> None:
        if self._gave_up is not None:
            too_soon = now - self._gave_up < self._patience * self.limits.idle_timeout
            self._patience = min(self._patience * 2, MOST_PATIENT) if too_soon else 1
            self._gave_up = None

    def _shrink(self, load: LoadSample) -> Decision:
        limits, patience = self.limits, self._patience * self.limits.idle_timeout
        kept = self._needed.of_last(patience, load.now)
        if kept >= self.wanted or limits.least < kept > self.wanted * WORTH_IT:
            return self._stay()
        self._gave_up = load.now
        return Decision(kept, f"no more were needed for {patience:g} s")


def _workers_for(work: float) -> int:
    return math.ceil(work / BUSY_ENOUGH)
