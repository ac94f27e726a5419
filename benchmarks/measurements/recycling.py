"""What it costs to replace workers all the time, and whether a client notices."""

from __future__ import annotations

from benchmarks.harness.competitors import python_server
from benchmarks.harness.rounds import Plan, alternate, ratios
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import COST, servers

WORKERS = 4
REQUESTS = 50
"""The `max_requests` of the server of the kind `recycled`."""
PLAN = Plan(rounds=8, seconds=0.6, clients=16)


def measure(plan: Plan = PLAN) -> Finding:
    never = python_server("prefork", "echo", WORKERS, name="never")
    soon = python_server("recycled", "echo", WORKERS, name=f"after {REQUESTS} requests")
    rounds = alternate((never, soon), plan)
    failed = sum(one.errors for one in rounds[soon.name])
    served = sum(one.requests for one in rounds[soon.name])
    replacing = ratios(rounds, soon.name, never.name, COST.of)
    return Finding(
        question=f"server CPU of an echo when workers are replaced, {WORKERS} workers, "
        f"{plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, never.name),
        goals=[
            Goal(f"{{}} of {failed + served} requests failed", failed, at_most=0),
        ],
        remarks=[
            f"With a new worker after every {REQUESTS} requests, a request costs "
            f"{replacing.median:.2f} times as much."
        ],
    )
