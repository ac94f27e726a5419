"""Rounds in turns, and what is made of them.

Other work on the machine disturbs every figure, and differently from minute to minute. So the
servers take turns in short rounds, there and back (A B, B A, A B ...), and a ratio is taken within
one turn, between rounds that are seconds apart. The median of the ratios forgives the odd round;
the middle half says how far it may be trusted.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.contenders import Contender, Running, ServerFailed, settle
from benchmarks.latencies import quantiles
from benchmarks.load import ECHO, Answers, Load, generate
from benchmarks.progress import bar
from prefork.loadtest.machine import busy_seconds

TRIES = 2  # times as many turns as wanted, to find so many quiet ones


@dataclass(frozen=True)
class Plan:
    """How many rounds there are for each server, and what happens in one."""

    rounds: int
    seconds: float
    clients: int
    load: Load = ECHO
    warm_up: int = 200
    """Requests before the first round, not counted."""
    quiet: float = math.inf
    """Cores that others may take in a turn. A turn with more is measured again, up to `TRIES` times
    `rounds` turns in all; the quietest are kept. For figures that need all cores of the machine."""


@dataclass(frozen=True)
class Round:
    """One server under load for a while. Times in seconds, latencies in microseconds."""

    requests: int
    errors: int
    resent: int
    """Datagrams that were sent again."""
    seconds: float
    rate: float
    """Requests in a second, without those that were answered after the end of the round."""
    cpu: float
    """Of the server: the master and all its processes."""
    load: float
    """Cores that the load generator took."""
    others: float
    """Cores that were taken by what is neither the server nor the load generator."""
    p50: float
    """The latencies are corrected for coordinated omission, as benchmarks/latencies.py explains."""
    p99: float
    p999: float

    @property
    def cost(self) -> float:
        """CPU seconds of a request."""
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

    @property
    def relative(self) -> float:
        """Half the width of the middle half, as a part of the median."""
        return (self.high - self.low) / 2 / self.median

    @property
    def margin(self) -> float:
        """By how much the median itself may be off: the notch of a box plot, about 95 % sure."""
        return 1.57 * (self.high - self.low) / math.sqrt(self.count)

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        values = list(values)
        if len(values) < 2:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))


Rounds = dict[str, list[Round]]
"""The rounds of each contender, by its name; those at one index belong to one turn."""

Part = tuple[str, Running, Plan]
"""What has its rounds under a name: a server, and the load on it."""


def alternate(contenders: Sequence[Contender], plan: Plan) -> Rounds:
    """All contenders in turns. They all run all the time; those whose turn it is not are idle.

    Errors: `ServerFailed`, also where there is none.
    """
    if not contenders:
        raise ServerFailed("None of its servers is installed.")
    with ExitStack() as stack:
        servers = [stack.enter_context(Running(contender)) for contender in contenders]
        return _in_turns([(server.name, server, plan) for server in servers], plan)


def under_each(contender: Contender, plans: Mapping[str, Plan]) -> Rounds:
    """One contender under several loads in turns; the rounds of each plan, by its name."""
    first = next(iter(plans.values()))
    with Running(contender) as server:
        return _in_turns([(name, server, plan) for name, plan in plans.items()], first)


def _in_turns(parts: Sequence[Part], plan: Plan) -> Rounds:
    """As many rounds of each part as the plan says."""
    for _, server, own_plan in parts:
        _put_under_load(server, own_plan, requests=own_plan.warm_up)
    turns: list[list[Round]] = []
    quiet = 0
    while quiet < plan.rounds and len(turns) < plan.rounds * TRIES:
        turns.append(_turn(parts, there=len(turns) % 2 == 0))
        quiet += _disturbance(turns[-1]) <= plan.quiet
        bar.at(quiet / plan.rounds)
    kept = sorted(turns, key=_disturbance)[: plan.rounds]
    series = zip(*kept, strict=True)
    return {name: list(rounds) for (name, _, _), rounds in zip(parts, series, strict=True)}


def ratios(rounds: Rounds, name: str, reference: str, of: Callable[[Round], float]) -> Spread:
    """A figure of one contender over that of another, turn by turn."""
    pairs = zip(rounds[name], rounds[reference], strict=True)
    return Spread.of(of(mine) / of(theirs) for mine, theirs in pairs)


def _turn(parts: Sequence[Part], there: bool) -> list[Round]:
    """A round of each part, the first one first or (back) last; in the parts' order."""
    if there:
        return [one_round(server, plan) for _, server, plan in parts]
    return [one_round(server, plan) for _, server, plan in reversed(parts)][::-1]


def _disturbance(turn: Iterable[Round]) -> float:
    return max(one.others for one in turn)


def one_round(server: Running, plan: Plan) -> Round:
    """A server under the load of a plan, for a while."""
    settle()
    began, cpu, machine = time.monotonic(), server.cpu_seconds(), busy_seconds()
    answers = _put_under_load(server, plan)
    settle()
    cpu = server.cpu_seconds() - cpu
    machine, elapsed = busy_seconds() - machine, time.monotonic() - began
    p50, p99, p999 = quantiles(answers.latencies, plan.load)
    return Round(
        requests=answers.requests,
        errors=answers.errors,
        resent=answers.resent,
        seconds=answers.seconds,
        rate=answers.rate,
        cpu=cpu,
        load=answers.cpu / answers.seconds,
        others=max(0.0, machine - cpu - answers.cpu) / elapsed,
        p50=p50,
        p99=p99,
        p999=p999,
    )


def _put_under_load(server: Running, plan: Plan, requests: int | None = None) -> Answers:
    answers = generate(
        plan.load, server.port, clients=plan.clients, seconds=plan.seconds, requests=requests
    )
    if not answers.requests:
        raise ServerFailed(f"The server {server.name!r} answered no request.")
    return answers
