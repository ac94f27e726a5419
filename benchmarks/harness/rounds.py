"""Rounds in which servers take turns, and the figures made of them.

Other work on the machine disturbs every figure, and differently from minute to minute. The servers
therefore take turns in short rounds, forwards and back (A B, B A, A B ...), and a ratio is taken
within one turn, between rounds that are seconds apart. The median of the ratios tolerates a
disturbed round; the middle half says how far the median can be trusted.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.harness.competitors import Competitor, RunningServer, ServerFailed, settle
from benchmarks.harness.load_generator import ECHO, LoadReport, Workload, corrected, generate
from benchmarks.harness.progress import bar
from prefork.loadtest.machine import busy_seconds

TRIES = 2
"""How many times the planned number of turns may be made to find enough quiet ones."""
QUIET = 0.1
"""Cores that other work may take before a report says so."""


@dataclass(frozen=True)
class Plan:
    """How many rounds each server has, and what happens in a round."""

    rounds: int
    seconds: float
    clients: int
    workload: Workload = ECHO
    warm_up: int = 200
    """Requests before the first round. They are not counted."""
    quiet: float = math.inf
    """Cores that other work may take in a turn, for figures that need all cores of the machine. A
    turn with more is repeated, up to `TRIES` times `rounds` turns in all; the quietest are kept."""


@dataclass(frozen=True)
class Round:
    """One server under load for a while. Times in seconds, latencies in microseconds."""

    requests: int
    errors: int
    resent: int
    """Datagrams that were sent again."""
    seconds: float
    rate: float
    """Requests per second, without those that were answered after the end of the round."""
    cpu: float
    """CPU time of the server: the master and all its descendants."""
    load: float
    """Cores that the load generator used."""
    others: float
    """Cores that were used by neither the server nor the load generator."""
    p50: float
    """The latencies are corrected for coordinated omission; harness/latencies.py explains how."""
    p99: float
    p999: float

    @property
    def cost(self) -> float:
        """CPU seconds of the server for each request."""
        return self.cpu / self.requests

    @property
    def cores(self) -> float:
        """Cores that the server kept busy."""
        return self.cpu / self.seconds


@dataclass(frozen=True)
class Spread:
    """The median of a series, and its middle half."""

    median: float
    low: float
    high: float
    count: int
    """How many values the series has."""

    @property
    def relative(self) -> float:
        """Half the width of the middle half, as a share of the median."""
        return (self.high - self.low) / 2 / self.median

    @property
    def margin(self) -> float:
        """How far off the median may be: the notch of a box plot, about 95 % sure."""
        return 1.57 * (self.high - self.low) / math.sqrt(self.count)

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        values = list(values)
        if len(values) < 2:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))

    def __mul__(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.count)


Rounds = dict[str, list[Round]]
"""The rounds of each competitor, by its name. Rounds with the same index belong to one turn."""

Part = tuple[str, RunningServer, Plan]
"""What has its rounds under a name: a server, and the load on it."""


def alternate(competitors: Sequence[Competitor], plan: Plan) -> Rounds:
    """Measure all competitors in turns. All run all the time, and are idle between their turns.

    Errors: `ServerFailed`, also when there is no competitor.
    """
    if not competitors:
        raise ServerFailed("None of its servers is installed.")
    with ExitStack() as stack:
        servers = [stack.enter_context(RunningServer(competitor)) for competitor in competitors]
        return _in_turns([(server.name, server, plan) for server in servers], plan)


def under_each(competitor: Competitor, plans: Mapping[str, Plan]) -> Rounds:
    """Measure one competitor under several loads in turns. The rounds have the plans' names."""
    first = next(iter(plans.values()))
    with RunningServer(competitor) as server:
        return _in_turns([(name, server, plan) for name, plan in plans.items()], first)


def _in_turns(parts: Sequence[Part], plan: Plan) -> Rounds:
    """Make as many rounds of each part as the plan says."""
    for _, server, own_plan in parts:
        _put_under_load(server, own_plan, requests=own_plan.warm_up)
    turns: list[list[Round]] = []
    quiet = 0
    while quiet < plan.rounds and len(turns) < plan.rounds * TRIES:
        turns.append(_turn(parts, forwards=len(turns) % 2 == 0))
        quiet += _disturbance(turns[-1]) <= plan.quiet
        bar.at(quiet / plan.rounds)
    kept = sorted(turns, key=_disturbance)[: plan.rounds]
    series = zip(*kept, strict=True)
    return {name: list(rounds) for (name, _, _), rounds in zip(parts, series, strict=True)}


def ratios(rounds: Rounds, name: str, reference: str, of: Callable[[Round], float]) -> Spread:
    """Return the ratio of one competitor's figure to another's, turn by turn."""
    pairs = zip(rounds[name], rounds[reference], strict=True)
    return Spread.of(of(one) / of(other) for one, other in pairs)


def _turn(parts: Sequence[Part], forwards: bool) -> list[Round]:
    """Make a round of each part, forwards or back; return the rounds in the order of the parts."""
    if forwards:
        return [one_round(server, plan) for _, server, plan in parts]
    return [one_round(server, plan) for _, server, plan in reversed(parts)][::-1]


def _disturbance(turn: Iterable[Round]) -> float:
    return max(one.others for one in turn)


def one_round(server: RunningServer, plan: Plan) -> Round:
    """Put a server under the load of a plan, and measure what it uses."""
    settle()
    began, cpu, machine = time.monotonic(), server.cpu_seconds(), busy_seconds()
    report = _put_under_load(server, plan)
    settle()
    cpu = server.cpu_seconds() - cpu
    machine, elapsed = busy_seconds() - machine, time.monotonic() - began
    p50, p99, p999 = map(corrected(report, plan.workload).quantile, (0.5, 0.99, 0.999))
    return Round(
        requests=report.requests,
        errors=report.errors,
        resent=report.resent,
        seconds=report.seconds,
        rate=report.rate,
        cpu=cpu,
        load=report.cpu / report.seconds,
        others=max(0.0, machine - cpu - report.cpu) / elapsed,
        p50=p50,
        p99=p99,
        p999=p999,
    )


def _put_under_load(server: RunningServer, plan: Plan, requests: int | None = None) -> LoadReport:
    report = generate(
        plan.workload, server.port, clients=plan.clients, seconds=plan.seconds, requests=requests
    )
    if not report.requests:
        raise ServerFailed(f"The server {server.name!r} answered no request.")
    return report
