"""What a sizing policy looks at, what it says, and between which bounds."""

from __future__ import annotations

from typing import NamedTuple

from prefork.policies.sizing.history import Episodes
from prefork.settings import Limits


class LoadSample(NamedTuple):
    """What a policy looks at; all of one moment."""

    now: float
    """Seconds of the monotonic clock."""
    persistent: int
    """Workers that are ready or starting."""
    starting: int
    busy: int
    """Workers with no room for another request, now."""
    busy_share: float
    """0 to 1, of the ready workers' time since the last look."""
    waiting: int
    """Requests in the backlog."""
    cpu_left: float | None
    """Share (0 to 1) of the usable cores that was idle since the last look; `None`: unknown."""
    memory_room: int | None
    """Workers that still fit into memory beside those persistent; `None`: unknown."""
    cores: int

    @property
    def ready(self) -> int:
        return self.persistent - self.starting

    @property
    def in_use(self) -> float:
        """Workers that were busy on average since the last look."""
        return self.busy_share * self.ready

    @property
    def in_words(self) -> str:
        """What the workers do, and who waits."""
        if self.busy < self.ready:
            busy = f"they are busy for {percent(self.busy_share)} of the time"
        else:
            busy = "all are busy" if self.ready else "none is ready"
        return f"{busy}, {self.waiting_in_words}"

    @property
    def waiting_in_words(self) -> str:
        if self.waiting == 1:
            return "1 client waits"
        return f"{self.waiting or 'no'} clients wait"


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


class Decision(NamedTuple):
    """How many persistent workers to have, and why.

    The reason is half a sentence for the log; it is empty when there is nothing new to say.
    """

    wanted: int
    reason: str


class Bound(NamedTuple):
    """A number that may not be exceeded now.

    Where it is a pity that there may be no more, `why` is said once in an episode, together with
    the figures of the moment; if it is empty, never.
    """

    workers: int
    why: str
    figures: str


class Sizing:
    """A policy: says how many workers there shall be; one for each run of a pool.

    For the caller: `wanted` at the start, then `decide()` at each look. The `limits` may be
    replaced between two looks. The next look is due `interval` seconds after the last one, which
    differs with the load; with `None` there need be none. Where `at_once` says so one is also due
    as soon as a request waits while no worker is idle; without workers, it is the only one.

    For derived classes: `_first()` and `_decide()`, and what the latter may answer.
    """

    interval: float | None
    at_once = False

    reads_machine = False
    """Whether it looks at CPU and memory."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.wanted = limits.bound(self._first())
        self._episodes = Episodes()

    def decide(self, load: LoadSample) -> Decision:
        """The decision at a look; `wanted` is what it says until the next one."""
        before, limits = self.wanted, self.limits
        self.wanted = limits.bound(before)
        decision = self._decide(load)
        self.wanted = decision.wanted
        if self.wanted != before and not decision.reason:
            return Decision(self.wanted, f"there shall be {limits.least} to {limits.most}")
        return decision

    def _first(self) -> int:
        """The workers to begin with, before anybody has looked."""
        return self.limits.least

    def _decide(self, load: LoadSample) -> Decision:
        """What to have; `wanted` is what there should be now, and within the limits."""
        raise NotImplementedError

    def _stay(self) -> Decision:
        return Decision(self.wanted, "")

    def _stay_within(self, bound: Bound, load: LoadSample) -> Decision:
        """More would be better, but there may be no more."""
        is_news = bound.why and self._episodes.is_news(bound.why, load.now)
        return Decision(self.wanted, f"{bound.why}, {bound.figures}" if is_news else "")

    def _max_children(self, load: LoadSample) -> Bound:
        """A pity only if somebody waits."""
        why = "max_children is reached" if load.waiting else ""
        return Bound(self.limits.most, why, load.waiting_in_words)
