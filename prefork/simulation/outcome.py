"""What comes of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from prefork.simulation.histogram import Histogram


class Decided(NamedTuple):
    """What a policy wanted, from when on, and why."""

    at: float
    wanted: int
    reason: str


@dataclass(frozen=True)
class Outcome:
    """The figures leave the warm-up out, and end when requests end to come; the counts do not."""

    arrived: int
    answered: int
    turned_away: int
    """Times that somebody found the backlog full."""
    lost: int
    """Requests that were given up by their clients, after the last retry."""
    unanswered: int
    """That nobody had served long after the end: the policy wanted no workers."""
    throughput: float
    """Answers in a second."""
    latencies: Histogram
    """From a request's coming to its answer, of all that came after the warm-up."""
    waits: Histogram
    """The part of it before a worker took the request."""
    busy_share: float
    """0..1, of the ready workers' time."""
    cpu_share: float
    """0..1, of all cores' time; clients on the same machine included."""
    largest_backlog: int
    served: list[int]
    """Requests of each worker, in the order in which they were forked."""
    sizes: list[tuple[float, int]]
    """The number of persistent workers (ready or starting), from when on."""
    decisions: list[Decided]
    """Of the policy, each that differs from the one before or gives a reason."""
