"""The results of a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from prefork.state.histogram import Histogram


class Decided(NamedTuple):
    """A decision of a policy: when, how many workers, and why."""

    at: float
    wanted: int
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What happened in a scenario.

    The figures leave out the warm-up, and what happens after the last arrival; the counts do not.
    """

    arrived: int
    answered: int
    turned_away: int
    """How often a client found the backlog full."""
    lost: int
    """Requests that their clients gave up, after the last retry."""
    unanswered: int
    """Requests that were not served long after the end: the policy wanted no workers."""
    throughput: float
    """Answers per second."""
    latencies: Histogram
    """From the arrival of a request to its answer, of all that arrived after the warm-up."""
    waits: Histogram
    """The part of each latency before a worker took the request."""
    busy_share: float
    """The part (0 to 1) of the ready workers' time for which they were busy."""
    cpu_share: float
    """The part (0 to 1) of all cores' time that was used, by clients on the same machine too."""
    largest_backlog: int
    served: list[int]
    """Requests of each worker, in the order in which they were forked."""
    sizes: list[tuple[float, int]]
    """Seconds, and the number of persistent workers (ready or starting) from then on."""
    decisions: list[Decided]
    """The decisions of the policy that differ from the one before or give a reason."""
