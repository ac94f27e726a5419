"""What a request costs when the master holds an application's data."""

from __future__ import annotations

from benchmarks.harness.competitors import python_server
from benchmarks.harness.rounds import Plan, alternate, ratios
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import COST, YIELD, servers

PREFORK, FORKING = "prefork", "ForkingTCPServer"
MEGABYTES = {PREFORK: (0, 200, 1000), FORKING: (0, 200)}
KINDS = {PREFORK: "prefork", FORKING: "forking"}
WORKERS = 4
LEAST_TIMES = 120.0
MOST_GROWTH = 1.1
PLAN = Plan(rounds=6, seconds=1.0, clients=16, warm_up=50)


def measure(plan: Plan = PLAN) -> Finding:
    competitors = [
        python_server(
            KINDS[server], "echo", WORKERS, name=named(server, megabytes), ballast=megabytes
        )
        for server, sizes in MEGABYTES.items()
        for megabytes in sizes
    ]
    rounds = alternate(competitors, plan)
    empty, with_some, with_most = (named(PREFORK, megabytes) for megabytes in MEGABYTES[PREFORK])
    growth = [ratios(rounds, name, empty, COST.of) for name in (with_some, with_most)]
    most = max(growth, key=lambda each: each.median)
    times = ratios(rounds, with_some, named(FORKING, 200), YIELD.of)
    return Finding(
        question=f"server CPU of an echo with 0, 200 and 1000 MB of small objects in the master, "
        f"{WORKERS} workers, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, empty),
        goals=[
            Goal(
                "prefork serves {:.0f} times as many requests per CPU second as ForkingTCPServer "
                "with 200 MB",
                times.median,
                times.margin,
                at_least=LEAST_TIMES,
            ),
            Goal(
                "with 200 or 1000 MB, a request of prefork costs up to {:.2f} times as much as "
                "with none",
                most.median,
                most.margin,
                at_most=MOST_GROWTH,
            ),
        ],
    )


def named(server: str, megabytes: int) -> str:
    return f"{server}, {megabytes} MB"
