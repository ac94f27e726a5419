"""The base class of the sizing policies, their input, and their decisions."""

from __future__ import annotations

from typing import NamedTuple

from prefork.policies.sizing.history import Episodes
from prefork.settings import Limits


class LoadSample(NamedTuple):
    """The input of a policy: the load at one moment."""

    now: float
    """The time, in seconds of the monotonic clock."""
    persistent: int
    """Workers that are ready or starting."""
    starting: int
    busy: int
    """Workers that cannot take another request now."""
    busy_share: float
    """Share (0 to 1) of the time since the last look for which the ready workers were busy."""
    waiting: int
    """Requests in the backlog."""
    cpu_left: float | None
    """Share (0 to 1) of the usable cores that was idle since the last look; `None`: unknown."""
    memory_room: int | None
    """The number of additional workers that fit into memory; `None`: unknown."""
    cores: int

    @property
    def ready(self) -> int:
        return self.persistent - self.starting

    @property
    def in_use(self) -> float:
        """The average number of busy workers since the last look."""
        return self.busy_share * self.ready

    @property
    def in_words(self) -> str:
        """A phrase for the log: how busy the workers are, and how many clients are waiting."""
        if self.busy < self.ready:
            busy = f"workers are busy {percent(self.busy_share)} of the time"
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
    """The wanted number of persistent workers, and the reason.

    The reason is a phrase for the log; it is empty if there is nothing to log.
    """

    wanted: int
    reason: str


class Bound(NamedTuple):
    """A number of workers that must not be exceeded now.

    If `why` is not empty, a pool that needs more workers logs it once in each episode, with the
    current figures.
    """

    workers: int
    why: str
    figures: str


class Sizing:
    """A sizing policy: decides how many workers there should be; one for each run of a pool.

    The caller reads `wanted` at the start, and then calls `decide()` at each look. It may replace
    `limits` between two looks. The next look is due `interval` seconds after the last one; this
    depends on the load, and `None` means that no look is due. If `at_once` is true, a look is also
    due as soon as a request waits while no worker is idle; without workers, it is the only one.

    A derived class defines `_decide()`, and `_first()` if necessary; the other methods build
    decisions.
    """

    interval: float | None
    at_once = False

    reads_machine = False
    """Whether it uses the figures `cpu_left` and `memory_room`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.wanted = limits.bound(self._first())
        self._episodes = Episodes()

    def decide(self, load: LoadSample) -> Decision:
        """Return the decision for this look; its number stays in `wanted` until the next look."""
        before, limits = self.wanted, self.limits
        self.wanted = limits.bound(before)
        decision = self._decide(load)
        self.wanted = decision.wanted
        if self.wanted != before and not decision.reason:
            return Decision(self.wanted, f"the limits are {limits.least} and {limits.most}")
        return decision

    def _first(self) -> int:
        """Return the number of workers before the first look."""
        return self.limits.least

    def _decide(self, load: LoadSample) -> Decision:
        """Return the decision; `wanted` is the present number, within the limits."""
        raise NotImplementedError

    def _stay(self) -> Decision:
        return Decision(self.wanted, "")

    def _stay_within(self, bound: Bound, load: LoadSample) -> Decision:
        """Stay at the present number although more workers are needed, because of a bound."""
        is_news = bound.why and self._episodes.is_news(bound.why, load.now)
        return Decision(self.wanted, f"{bound.why}, {bound.figures}" if is_news else "")

    def _max_children(self, load: LoadSample) -> Bound:
        """Return the upper limit as a bound; it is logged only if clients are waiting."""
        why = "max_children is reached" if load.waiting else ""
        return Bound(self.limits.most, why, load.waiting_in_words)
