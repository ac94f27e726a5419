"""What a line costs on a connection that is kept: 32 bytes out, the same back."""

from __future__ import annotations

from benchmarks.harness.competitors import c_server, python_server
from benchmarks.harness.load_generator import Workload
from benchmarks.harness.rounds import Plan, alternate
from benchmarks.report import goals
from benchmarks.report.finding import Finding
from benchmarks.report.tables import servers

WORKERS = 4
PLAN = Plan(rounds=9, seconds=0.4, clients=WORKERS, workload=Workload(kind="lines"))
C, PREFORK = "C prefork", "prefork"


def measure(plan: Plan = PLAN) -> Finding:
    competitors = (
        c_server(WORKERS, "lines", name=C),
        python_server("looped", "lines", WORKERS, name="stdlib path looped"),
        python_server("prefork", "lines", WORKERS, name=PREFORK),
        python_server("prefork", "stream", WORKERS, name="prefork, recv and sendall"),
        python_server("threaded", "lines", 2, name="prefork, 2 workers with threads"),
        python_server("threading", "lines", 1, name="ThreadingTCPServer"),
        python_server("forking", "lines", 1, name="ForkingTCPServer"),
    )
    rounds = alternate(competitors, plan)
    return Finding(
        question=f"server CPU of a line on a kept connection, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, C),
        goals=goals.cost(rounds, PREFORK, C, at_most=1.5),
        remarks=["Handlers read rfile and write to wfile, unless the name indicates otherwise."],
    )
