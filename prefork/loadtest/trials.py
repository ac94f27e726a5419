"""Turns of a server under load, and the figures that they give together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from prefork.loadtest.figures import percentiles
from prefork.loadtest.protocol import Measured

NORMAL = 1.858
"""The standard error of a median, times the root of the number of turns, for a margin of 1: that is
a standard deviation over 1.4826, and a median is off by the root of pi / 2 times what a mean is."""

NOISE = 0.1
"""What two runs of the same may differ by, even if their own turns agree."""

VAGUE = 0.2

QUIET = 0.1
"""Cores that others may take."""


@dataclass(frozen=True)
class Estimate:
    """The median over turns, and by how much they differ: half of them are nearer to
    the median than `margin`. One turn that something else has spoilt changes neither."""

    value: float
    margin: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        if not values:
            return cls(0.0)
        middle = median(values)
        return cls(middle, median(abs(value - middle) for value in values))

    def error(self, turns: int) -> float:
        """The standard error of the median of so many turns, as if they were normally distributed;
        0 for a single one, of which nothing is known."""
        return NORMAL * self.margin / math.sqrt(turns)

    @property
    def vague(self) -> bool:
        """Whether the turns differ so much that the median says little."""
        return self.margin > VAGUE * self.value

    def clearly_above(self, other: Estimate) -> bool:
        """Whether more than noise is between them: the margins of both, and at least 10 %."""
        noise = max(self.margin + other.margin, NOISE * max(self.value, other.value))
        return self.value - other.value > noise


@dataclass(frozen=True)
class Trial:
    """One turn: what its clients have measured, the seconds of CPU that the server and they have
    used, and those that either has waited for a core."""

    measured: Measured
    cpu: float
    clients_cpu: float = 0.0
    waited: float = 0.0
    clients_waited: float = 0.0
    others: float = 0.0
    """Cores that were taken by what is neither."""

    def as_json(self) -> dict[str, object]:
        """The latencies as percentiles, in milliseconds."""
        measured = self.measured
        p50, p99 = percentiles(measured.took)
        return {
            "rate": measured.rate,
            "requests": measured.exchanges,
            "failures": measured.failures,
            "reason": measured.reason,
            "server_cpu_seconds": self.cpu,
            "clients_cpu_seconds": self.clients_cpu,
            "server_waited_seconds": self.waited,
            "clients_waited_seconds": self.clients_waited,
            "clients_busy": measured.busy,
            "others_cores": self.others,
            "p50": p50,
            "p99": p99,
            "longest": 1000 * max(measured.took, default=0.0),
        }


def undisturbed(turns: Sequence[Trial]) -> Sequence[Trial]:
    """Those in which others took next to nothing of the machine, or the quieter half."""
    quiet = [turn for turn in turns if turn.others <= QUIET]
    if 2 * len(quiet) >= len(turns):
        return quiet
    return sorted(turns, key=lambda turn: turn.others)[: (len(turns) + 1) // 2]


class Summary(NamedTuple):
    """What turns have given together: `cpu` in milliseconds of the server's CPU for a request, p50
    and p99 in milliseconds from a client's connect to the end of its answer."""

    rate: Estimate
    cpu: Estimate
    p50: float
    p99: float
    requests: int
    failures: int
    clients_busy: float
    """The part of a core that the busiest process of clients used: near 1, servers waited."""

    @classmethod
    def of(cls, turns: Sequence[Trial]) -> Summary:
        measured = [turn.measured for turn in turns]
        costs = [1000 * t.cpu / t.measured.exchanges for t in turns if t.measured.exchanges]
        return cls(
            Estimate.of([m.rate for m in measured]),
            Estimate.of(costs),
            *percentiles([took for m in measured for took in m.took]),
            sum(m.exchanges for m in measured),
            sum(m.failures for m in measured),
            max((m.busy for m in measured), default=0.0),
        )
