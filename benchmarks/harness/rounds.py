"""Trials of several servers in alternation, and the figures computed from them.

Other work on the machine disturbs every figure, and differently from minute to minute. The servers
therefore alternate in short trials, forwards and back (A B, B A, A B ...). A round has one trial of
each server, and a ratio is taken within one round, between trials that are seconds apart. The
median of the ratios tolerates a disturbed trial; the middle half shows how far the median can be
trusted.
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
"""Maximum number of rounds, as a multiple of the planned number, to find enough quiet ones."""
QUIET = 0.1
"""Cores that other work may use before a report mentions it."""


@dataclass(frozen=True)
class Plan:
    """The number of rounds, and what happens in each trial."""

    rounds: int
    seconds: float
    clients: int
    workload: Workload = ECHO
    warm_up: int = 200
    """Number of requests before the first trial of each server. They are not counted."""
    quiet: float = math.inf
    """Cores that other work may use in a round, for figures that need all cores of the machine. A
    round with more is repeated, up to `TRIES * rounds` rounds in all; the quietest are kept."""


@dataclass(frozen=True)
class Trial:
    """The figures of one server under load. Times in seconds, latencies in microseconds."""

    requests: int
    errors: int
    resent: int
    """The number of datagrams that were sent again."""
    seconds: float
    rate: float
    """Requests per second, not including those that were answered after the end of the trial."""
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
    """The number of values in the series."""

    @property
    def relative(self) -> float:
        """Half the width of the middle half, as a share of the median."""
        return (self.high - self.low) / 2 / self.median

    @property
    def margin(self) -> float:
        """The uncertainty of the median, at a confidence of about 95 %: the notch of a box plot."""
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


Rounds = dict[str, list[Trial]]
"""The trials of each competitor, by its name. Trials with the same index belong to one round."""

Part = tuple[str, RunningServer, Plan]
"""The name of a series of trials, the server, and the load on it."""


def alternate(competitors: Sequence[Competitor], plan: Plan) -> Rounds:
    """Measure all competitors in alternation; each is idle between its trials.

    Errors: `ServerFailed`, also if there is no competitor.
    """
    if not competitors:
        raise ServerFailed("None of the servers of this measurement is installed.")
    with ExitStack() as stack:
        servers = [stack.enter_context(RunningServer(competitor)) for competitor in competitors]
        return _in_rounds([(server.name, server, plan) for server in servers], plan)


def under_each(competitor: Competitor, plans: Mapping[str, Plan]) -> Rounds:
    """Measure one competitor under several loads in alternation; `plans` names the loads."""
    first = next(iter(plans.values()))
    with RunningServer(competitor) as server:
        return _in_rounds([(name, server, plan) for name, plan in plans.items()], first)


def _in_rounds(parts: Sequence[Part], plan: Plan) -> Rounds:
    """Make the planned number of trials of each part."""
    for _, server, own_plan in parts:
        _put_under_load(server, own_plan, requests=own_plan.warm_up)
    rounds: list[list[Trial]] = []
    quiet = 0
    while quiet < plan.rounds and len(rounds) < plan.rounds * TRIES:
        rounds.append(_round(parts, forwards=len(rounds) % 2 == 0))
        quiet += _disturbance(rounds[-1]) <= plan.quiet
        bar.at(quiet / plan.rounds)
    kept = sorted(rounds, key=_disturbance)[: plan.rounds]
    series = zip(*kept, strict=True)
    return {name: list(rounds) for (name, _, _), rounds in zip(parts, series, strict=True)}


def ratios(rounds: Rounds, name: str, reference: str, of: Callable[[Trial], float]) -> Spread:
    """Return the ratio of one competitor's figure to another's, round by round."""
    pairs = zip(rounds[name], rounds[reference], strict=True)
    return Spread.of(of(one) / of(other) for one, other in pairs)


def _round(parts: Sequence[Part], forwards: bool) -> list[Trial]:
    """Make a trial of each part, forwards or back; return the trials in the order of the parts."""
    if forwards:
        return [one_trial(server, plan) for _, server, plan in parts]
    return [one_trial(server, plan) for _, server, plan in reversed(parts)][::-1]


def _disturbance(trials: Iterable[Trial]) -> float:
    return max(one.others for one in trials)


def one_trial(server: RunningServer, plan: Plan) -> Trial:
    """Put a server under the load of a plan, and measure what it uses."""
    settle()
    began, cpu, machine = time.monotonic(), server.cpu_seconds(), busy_seconds()
    report = _put_under_load(server, plan)
    settle()
    cpu = server.cpu_seconds() - cpu
    machine, elapsed = busy_seconds() - machine, time.monotonic() - began
    p50, p99, p999 = map(corrected(report, plan.workload).quantile, (0.5, 0.99, 0.999))
    return Trial(
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
        raise ServerFailed(f"The server {server.name!r} did not answer any request.")
    return report
