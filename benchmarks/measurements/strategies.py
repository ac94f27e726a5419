"""What an echo costs under each strategy."""

from __future__ import annotations

from benchmarks.harness.competitors import python_server
from benchmarks.harness.rounds import Plan, alternate, ratios
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import COST, servers

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
"""The strategies by the kind of their server."""


def measure(plan: Plan = PLAN) -> Finding:
    competitors = [python_server(kind, "echo", WORKERS, name=name) for kind, name in NAMES.items()]
    rounds = alternate(competitors, plan)
    accept = NAMES["prefork"]
    handoff = ratios(rounds, NAMES["handoff"], accept, COST.of)
    return Finding(
        question=f"server CPU of an echo, {WORKERS} workers, {plan.clients} clients, by strategy.",
        rounds=rounds,
        table=servers(rounds, accept),
        goals=[
            Goal(
                "handoff costs {:.2f} times as much as accept",
                handoff.median,
                handoff.margin,
                at_most=MOST_OF_ACCEPT,
            )
        ],
        remarks=["The load generator keeps one core busy and limits the requests per second."],
    )
