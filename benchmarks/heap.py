"""What a request costs when the master holds an application's data."""

from __future__ import annotations

from benchmarks.contenders import python_server
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, alternate, ratios
from benchmarks.tables import LATENCIES, PLAIN_RATE, YIELD, servers

MEGABYTES = 200
WORKERS = 4
LEAST_TIMES = 120.0
PLAN = Plan(rounds=4, seconds=1.5, clients=16, warm_up=50)


def measure(plan: Plan = PLAN) -> Outcome:
    ours = python_server("prefork", "echo", WORKERS, name="prefork", ballast=MEGABYTES)
    forking = python_server("forking", "echo", WORKERS, name="ForkingTCPServer", ballast=MEGABYTES)
    rounds = alternate((forking, ours), plan, "heap")
    times = ratios(rounds, ours.name, forking.name, YIELD.of)
    return Outcome(
        name="heap",
        question=f"the same echo with {MEGABYTES} MB of small objects in the master, "
        f"{plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, (YIELD, PLAIN_RATE, *LATENCIES), YIELD, forking.name),
        targets=[
            Target(
                "prefork serves {:.0f} times as many requests per CPU second as ForkingTCPServer",
                times.median,
                times.margin,
                at_least=LEAST_TIMES,
            )
        ],
    )
