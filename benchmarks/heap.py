"""What a request costs when the master holds an application's data."""

from __future__ import annotations

from benchmarks.contenders import python_server
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, alternate, ratios
from benchmarks.tables import COST, YIELD, servers

OURS, FORKING = "prefork", "ForkingTCPServer"
MEGABYTES = {OURS: (0, 200, 1000), FORKING: (0, 200)}
KINDS = {OURS: "prefork", FORKING: "forking"}
WORKERS = 4
LEAST_TIMES = 120.0
MOST_GROWTH = 1.1
PLAN = Plan(rounds=6, seconds=1.0, clients=16, warm_up=50)


def measure(plan: Plan = PLAN) -> Outcome:
    contenders = [
        python_server(
            KINDS[server], "echo", WORKERS, name=named(server, megabytes), ballast=megabytes
        )
        for server, sizes in MEGABYTES.items()
        for megabytes in sizes
    ]
    rounds = alternate(contenders, plan)
    empty, with_some, with_most = (named(OURS, megabytes) for megabytes in MEGABYTES[OURS])
    growth = [ratios(rounds, name, empty, COST.of) for name in (with_some, with_most)]
    most = max(growth, key=lambda each: each.median)
    times = ratios(rounds, with_some, named(FORKING, 200), YIELD.of)
    return Outcome(
        question=f"server CPU of an echo with 0, 200 and 1000 MB of small objects in the master, "
        f"{WORKERS} workers, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, empty),
        targets=[
            Target(
                "prefork serves {:.0f} times as many requests per CPU second as ForkingTCPServer "
                "with 200 MB",
                times.median,
                times.margin,
                at_least=LEAST_TIMES,
            ),
            Target(
                "prefork costs at most {:.2f} times as much with 200 or 1000 MB as with none",
                most.median,
                most.margin,
                at_most=MOST_GROWTH,
            ),
        ],
    )


def named(server: str, megabytes: int) -> str:
    return f"{server}, {megabytes} MB"
