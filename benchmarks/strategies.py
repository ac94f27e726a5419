"""What an echo request costs under each strategy."""

from __future__ import annotations

from benchmarks.contenders import python_server
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, alternate, ratios
from benchmarks.tables import COST, servers

WORKERS = 4
MOST_OF_ACCEPT = 2.2
PLAN = Plan(rounds=8, seconds=0.5, clients=16)
NAMES = {
    "prefork": "accept, fifo",
    "lifo": "accept, lifo",
    "reuseport": "reuseport",
    "handoff": "handoff",
    "ahead": "fork, 2 ahead",
    "fork": "fork",
}


def measure(plan: Plan = PLAN) -> Outcome:
    contenders = [python_server(kind, "echo", WORKERS, name=name) for kind, name in NAMES.items()]
    rounds = alternate(contenders, plan)
    accept = NAMES["prefork"]
    handoff = ratios(rounds, NAMES["handoff"], accept, COST.of)
    return Outcome(
        question=f"server CPU of an echo, {WORKERS} workers, {plan.clients} clients, by strategy.",
        rounds=rounds,
        table=servers(rounds, accept),
        targets=[
            Target(
                "handoff costs {:.2f} times accept",
                handoff.median,
                handoff.margin,
                at_most=MOST_OF_ACCEPT,
            )
        ],
        remarks=["Requests per second are those of the load generator, which is busy with a core."],
    )
