"""What it costs to replace workers all the time, and whether a client notices."""

from __future__ import annotations

from benchmarks.contenders import python_server
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, alternate, ratios
from benchmarks.tables import COST, servers

WORKERS = 4
REQUESTS = 50
"""Of a worker of the kind `recycled`."""
PLAN = Plan(rounds=8, seconds=0.6, clients=16)


def measure(plan: Plan = PLAN) -> Outcome:
    never = python_server("prefork", "echo", WORKERS, name="never")
    soon = python_server("recycled", "echo", WORKERS, name=f"after {REQUESTS} requests")
    rounds = alternate((never, soon), plan)
    failed = sum(one.errors for one in rounds[soon.name])
    served = sum(one.requests for one in rounds[soon.name])
    replacing = ratios(rounds, soon.name, never.name, COST.of)
    return Outcome(
        question=f"server CPU of an echo when workers are replaced, {WORKERS} workers, "
        f"{plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, never.name),
        targets=[
            Target(f"{{}} of {failed + served} requests failed", failed, at_most=0),
        ],
        remarks=[
            f"A new worker every {REQUESTS} requests makes a request cost {replacing.median:.2f} "
            "times as much."
        ],
    )
