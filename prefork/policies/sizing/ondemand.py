"""`ondemand`: keeps workers only while they are needed."""

from __future__ import annotations

import math

from prefork.policies.sizing.base import Decision, LoadSample, Sizing
from prefork.policies.sizing.history import Peak
from prefork.settings import Limits

LOOK_INTERVAL = 0.25
REST_INTERVAL = 0.5


class OnDemand(Sizing):
    """Like PHP-FPM's `pm = ondemand`: adds a worker for each client that waits while none is idle.

    Workers that were not needed for `idle_timeout` seconds leave. Their number is determined by the
    work of the whole pool, not by how long each worker was idle: idle workers take turns, so even a
    few requests would use each of many workers now and then.
    """

    at_once = True
    interval: float | None = LOOK_INTERVAL

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._needed = Peak()

    def _decide(self, load: LoadSample) -> Decision:
        limits = self.limits
        needed = load.busy + load.waiting
        self._needed.note(load.now, max(needed, math.ceil(load.in_use)))
        kept = limits.bound(self._needed.of_last(limits.idle_timeout, load.now))
        if needed > self.wanted >= limits.most:
            decision = self._stay_within(self._max_children(load), load)
        elif needed > self.wanted:
            decision = Decision(limits.bound(needed), load.in_words)
        elif kept < self.wanted:
            decision = Decision(kept, f"no more were needed for {limits.idle_timeout:g} s")
        else:
            decision = self._stay()
        self.interval = LOOK_INTERVAL
        if kept == limits.least and not load.in_use:
            has_workers = load.persistent or decision.wanted
            self.interval = REST_INTERVAL if has_workers else None
        return decision
