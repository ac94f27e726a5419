"""What a sizing policy looks at, what it says, and between which bounds."""

from __future__ import annotations

from typing import NamedTuple


class Load(NamedTuple):
    """What a policy looks at; all of one moment."""

    now: float
    """Seconds of the monotonic clock."""
    standing: int
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
    """Workers that still fit into memory beside those standing; `None`: unknown."""
    cores: int


class Decision(NamedTuple):
    """How many standing workers to have, and why: half a sentence for the log, empty when that is
    as before."""

    wanted: int
    reason: str


class Limits(NamedTuple):
    """Between what a policy may choose: `max_children`, and what the settings of these names say.

    `idle_timeout` is in seconds.
    """

    least: int
    most: int
    min_spare: int = 1
    max_spare: int = 4
    idle_timeout: float = 10.0


class Sizing:
    """A policy: says how many workers there shall be; one for each run of a pool.

    For the caller: `wanted` at the start, then `decide()` at each look. The `limits` may be
    replaced between two looks. The next look is due `interval` seconds after the last one, which
    differs with the load; `None` while there need be none. Where `at_once` says so one is also due
    as soon as a request waits while no worker is idle; without workers, it is the only one.

    For derived classes: `_decide()`.
    """

    at_once = False

    interval: float | None = None

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.wanted = limits.least

    def decide(self, load: Load) -> Decision:
        """The decision at a look; `wanted` is what it says until the next one."""
        decision = self._decide(load)
        self.wanted = decision.wanted
        return decision

    def _decide(self, load: Load) -> Decision:
        raise NotImplementedError
