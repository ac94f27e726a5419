"""What `fork_ahead` saves one client if each request has a process of its own.

The goal is for the paced client: both servers keep up with its pace, and its request meets a
process that is ready. In a closed loop the next request comes while the master still forks, so no
process is ready, and the request waits for a fork as it does without `fork_ahead`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.harness.competitors import RunningServer, python_server
from benchmarks.harness.latencies import Latencies
from benchmarks.harness.probe import using, wait_for_workers
from benchmarks.harness.progress import bar
from benchmarks.harness.python_clients import Reply, one_after_another, paced
from benchmarks.harness.rounds import QUIET, Plan, Spread
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import CAPTION, listing, show

MEGABYTES = 200
WORKERS, FORK_AHEAD = 4, 2
REQUESTS = 40
INTERVAL = 0.08
LEAST_TIMES = 5.0
PLAN = Plan(rounds=5, seconds=0, clients=1)
AHEAD, FORKING = "prefork, fork with 2 ahead", "ForkingTCPServer"
CLIENTS: dict[str, Callable[[int], Iterable[Reply]]] = {
    "paced": lambda port: paced(port, REQUESTS, INTERVAL),
    "closed loop": lambda port: one_after_another(port, REQUESTS, pause=0),
}


@dataclass(frozen=True)
class ForkAheadTrial:
    """One trial of one server with one kind of client."""

    p50: float
    """Milliseconds."""
    p99: float
    cpu: float
    """Milliseconds for each request, of all the server's processes."""
    processes: int
    """The number of processes that served requests."""
    others: float
    """Cores that were used by neither the server nor the client."""


def measure(plan: Plan = PLAN) -> Finding:
    series = rounds_of_both(plan.rounds)
    gain = {client: times(series, client) for client in CLIENTS}
    everything = [one for rounds in series.values() for one in rounds]
    others = Spread.of(one.others for one in everything).median
    remarks = [
        f"In a closed loop, the p50 of {FORKING} is {gain['closed loop'].median:.1f} times that "
        "with fork_ahead: the next request comes before the next process is ready."
    ]
    if others > QUIET:
        remarks.append(
            f"Other work used {others:.2f} cores during the rounds. The request needs one core, "
            "and the master that forks ahead another: measure again."
        )
    return Finding(
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
            CAPTION,
        ),
        goals=[
            Goal(
                f"paced: the p50 of {FORKING} is {{:.1f}} times that with fork_ahead",
                gain["paced"].median,
                gain["paced"].margin,
                at_least=LEAST_TIMES,
                valid=others <= QUIET,
            ),
            Goal(
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


def times(series: dict[tuple[str, str], list[ForkAheadTrial]], client: str) -> Spread:
    """Return the ratio of the p50 without `fork_ahead` to the p50 with it, round by round."""
    pairs = zip(series[client, FORKING], series[client, AHEAD], strict=True)
    return Spread.of(forking.p50 / ahead.p50 for forking, ahead in pairs)


def rounds_of_both(count: int) -> dict[tuple[str, str], list[ForkAheadTrial]]:
    """Measure both servers in alternation, with each kind of client."""
    with ExitStack() as stack:
        ahead, forking = (
            stack.enter_context(
                RunningServer(python_server(kind, "pid", WORKERS, name=name, ballast=MEGABYTES))
            )
            for kind, name in (("ahead", AHEAD), ("forking", FORKING))
        )
        wait_for_workers(ahead, FORK_AHEAD)
        series: dict[tuple[str, str], list[ForkAheadTrial]] = {
            (client, server.name): [] for client in CLIENTS for server in (ahead, forking)
        }
        for number in range(count):
            for server in (ahead, forking) if number % 2 == 0 else (forking, ahead):
                for client, requests in CLIENTS.items():
                    series[client, server.name].append(one_trial(server, requests))
            bar.at((number + 1) / count)
    return series


def one_trial(server: RunningServer, requests: Callable[[int], Iterable[Reply]]) -> ForkAheadTrial:
    with using(server) as usage:
        replies = list(requests(server.port))
    latencies = Latencies.of(reply.seconds for reply in replies)
    return ForkAheadTrial(
        latencies.quantile(0.5) / 1e3,
        latencies.quantile(0.99) / 1e3,
        usage.cpu / len(replies) * 1e3,
        len({reply.pid for reply in replies}),
        usage.others,
    )
