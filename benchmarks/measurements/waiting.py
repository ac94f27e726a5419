"""How many clients are served by a handler that waits 10 ms, as for a database."""

from __future__ import annotations

from benchmarks.harness.competitors import python_server
from benchmarks.harness.rounds import Plan, alternate
from benchmarks.report.finding import Finding
from benchmarks.report.tables import COST, LATENCIES, PLAIN_RATE, servers

SECONDS = 0.010
PLAN = Plan(rounds=5, seconds=0.5, clients=16, warm_up=50)
PREFORK = "prefork, 16 workers"


def measure(plan: Plan = PLAN) -> Finding:
    competitors = (
        python_server("prefork", "wait", 16, seconds=SECONDS, name=PREFORK),
        python_server("threaded", "wait", 2, seconds=SECONDS, name="prefork, 2 with threads"),
        python_server("prefork", "wait", 4, seconds=SECONDS, name="prefork, 4 workers"),
        python_server("threading", "wait", 1, seconds=SECONDS, name="ThreadingTCPServer"),
        python_server("forking", "wait", 1, seconds=SECONDS, name="ForkingTCPServer"),
    )
    rounds = alternate(competitors, plan)
    return Finding(
        question=f"a handler that waits {SECONDS * 1e3:g} ms, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, PREFORK, (PLAIN_RATE, COST, *LATENCIES)),
        goals=[],
    )
