"""`spare`: keeps the number of idle workers between two bounds."""

from __future__ import annotations

from prefork.policies.sizing.base import Decision, LoadSample, Sizing

MOST_AT_ONCE = 32


class Spare(Sizing):
    """Like Apache's prefork MPM (`MinSpareServers`) and PHP-FPM (`pm = dynamic`).

    While fewer than `min_spare` workers are idle, it adds 1, 2, 4, ... workers at each look, but no
    more than are missing. While more than `max_spare` are idle, it retires one at each look. A
    starting worker counts as idle; otherwise, slow starts would add more workers. A waiting client
    counts as a busy worker, since it will occupy one.
    """

    interval = 1.0
    _step = 1

    def _first(self) -> int:
        return max(self.limits.least, self.limits.min_spare)

    def _decide(self, load: LoadSample) -> Decision:
        limits, idle = self.limits, load.persistent - load.busy - load.waiting
        if idle >= limits.min_spare:
            self._step = 1
            if idle > limits.max_spare and load.persistent <= self.wanted > limits.least:
                return Decision(self.wanted - 1, f"{idle} are idle, more than {limits.max_spare}")
            return self._stay()
        if load.persistent < self.wanted:
            return self._stay()  # the workers of the last step do not exist yet
        if self.wanted >= limits.most:
            return self._stay_within(self._max_children(load), load)
        more = min(self._step, limits.min_spare - idle)
        self._step = min(self._step * 2, MOST_AT_ONCE)
        short = f"{max(0, load.persistent - load.busy)} are idle and {load.waiting_in_words}"
        return Decision(limits.bound(self.wanted + more), short)
