"""The results of a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from prefork.state.histogram import Histogram


class Decided(NamedTuple):
    """A decision of a policy: the time, the number of workers, and the reason."""

    at: float
    wanted: int
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What happened in a scenario.

    The counts cover the whole simulation. All other figures exclude the warm-up, and what happens
    after the last arrival.
    """

    arrived: int
    answered: int
    turned_away: int
    """The number of times that a client found the backlog full."""
    lost: int
    """Requests that their clients gave up after the last retry."""
    unanswered: int
    """Requests that were not served long after the end, because the policy wanted no workers."""
    throughput: float
    """Answers per second."""
    latencies: Histogram
    """The time from arrival to answer of each request that arrived after the warm-up."""
    waits: Histogram
    """The part of each latency before a worker took the request."""
    busy_share: float
    """Share (0 to 1) of their time for which the ready workers were busy."""
    cpu_share: float
    """Share (0 to 1) of the time of all cores that was used, including by local clients."""
    largest_backlog: int
    served: list[int]
    """The number of requests that each worker served, in the order in which workers were forked."""
    sizes: list[tuple[float, int]]
    """Pairs of a time and the number of persistent workers (ready or starting) from then on."""
    decisions: list[Decided]
    """The decisions of the policy that differ from the previous one or give a reason."""
