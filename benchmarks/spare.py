"""What processes forked ahead save one client, when each request has a process of its own.

The target is of the paced client, whose pace both servers keep up with: it meets a process that
is ready. In a closed loop the next request comes while the master still forks; then there is
nothing ahead, and a request waits for a fork as it does without.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.clients import Answer, one_after_another, paced
from benchmarks.contenders import Running, python_server
from benchmarks.output import QUIET, Outcome, Target
from benchmarks.progress import bar
from benchmarks.rounds import Plan, Spread
from benchmarks.tables import listing, show
from benchmarks.watched import using, wait_for_workers

MEGABYTES = 200
WORKERS, SPARE = 4, 2
REQUESTS = 40
INTERVAL = 0.08
LEAST_TIMES = 5.0
PLAN = Plan(rounds=5, seconds=0, clients=1)
OURS, FORKING = "prefork, fork with 2 ahead", "ForkingTCPServer"
CLIENTS: dict[str, Callable[[int], Iterable[Answer]]] = {
    "paced": lambda port: paced(port, REQUESTS, INTERVAL),
    "closed loop": lambda port: one_after_another(port, REQUESTS, pause=0),
}


@dataclass(frozen=True)
class Series:
    """One round of one server with one kind of client."""

    latencies: tuple[float, ...]
    """Milliseconds, sorted."""
    cpu: float
    """Milliseconds of all the server's processes for each request."""
    processes: int
    """How many served."""
    others: float
    """Cores that were taken by what is neither the server nor the client."""

    @property
    def p50(self) -> float:
        return statistics.median(self.latencies)

    @property
    def p99(self) -> float:
        return self.latencies[int(0.99 * (len(self.latencies) - 1))]


def measure(plan: Plan = PLAN) -> Outcome:
    series = rounds_of_both(plan.rounds)
    gain = {client: times(series, client) for client in CLIENTS}
    everything = [one for rounds in series.values() for one in rounds]
    others = Spread.of(one.others for one in everything).median
    remarks = [
        f"In a closed loop {FORKING}'s p50 is {gain['closed loop'].median:.1f} times ours: the "
        "next request comes before the next process is ahead."
    ]
    if others > QUIET:
        remarks.append(
            f"Other work took {others:.2f} cores meanwhile. Two are needed, one for the request "
            "and one for the master that forks ahead: measure again."
        )
    return Outcome(
        question=f"latency of one client with a process for each request, {MEGABYTES} MB in the "
        f"master; paced: a request every {INTERVAL * 1e3:.0f} ms.",
        rounds={},
        table=listing(
            ("client, server", "p50 ms", "p99 ms", "CPU ms", "processes"),
            (
                (
                    f"{client}, {server}",
                    show(Spread.of(one.p50 for one in rounds), ".2f", True),
                    show(Spread.of(one.p99 for one in rounds), ".2f", False),
                    show(Spread.of(one.cpu for one in rounds), ".2f", False),
                    f"{min(one.processes for one in rounds)} of {REQUESTS}",
                )
                for (client, server), rounds in series.items()
            ),
            "Medians of the rounds, ± half the middle half.",
        ),
        targets=[
            Target(
                f"paced: the p50 of {FORKING} is {{:.1f}} times ours",
                gain["paced"].median,
                gain["paced"].margin,
                at_least=LEAST_TIMES,
                valid=others <= QUIET,
            ),
            Target(
                f"{{}} processes for {REQUESTS} requests in every round",
                min(one.processes for one in everything),
                at_least=REQUESTS,
            ),
        ],
        remarks=remarks,
        figures={
            f"{client}, {server}": [
                {"p50": round(one.p50, 3), "p99": round(one.p99, 3), "cpu": round(one.cpu, 3)}
                for one in rounds
            ]
            for (client, server), rounds in series.items()
        },
    )


def times(series: dict[tuple[str, str], list[Series]], client: str) -> Spread:
    pairs = zip(series[client, FORKING], series[client, OURS], strict=True)
    return Spread.of(theirs.p50 / ours.p50 for theirs, ours in pairs)


def rounds_of_both(count: int) -> dict[tuple[str, str], list[Series]]:
    """Both servers in turns, with each kind of client."""
    with ExitStack() as stack:
        ours, forking = (
            stack.enter_context(
                Running(python_server(kind, "pid", WORKERS, name=name, ballast=MEGABYTES))
            )
            for kind, name in (("ahead", OURS), ("forking", FORKING))
        )
        wait_for_workers(ours, SPARE)
        series: dict[tuple[str, str], list[Series]] = {
            (client, server.name): [] for client in CLIENTS for server in (ours, forking)
        }
        for number in range(count):
            for server in (ours, forking) if number % 2 == 0 else (forking, ours):
                for client, requests in CLIENTS.items():
                    series[client, server.name].append(one_series(server, requests))
            bar.at((number + 1) / count)
    return series


def one_series(server: Running, requests: Callable[[int], Iterable[Answer]]) -> Series:
    with using(server) as usage:
        answers = list(requests(server.port))
    return Series(
        tuple(sorted(answer.seconds * 1e3 for answer in answers)),
        usage.cpu / len(answers) * 1e3,
        len({answer.pid for answer in answers}),
        usage.others,
    )
