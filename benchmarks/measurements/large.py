"""What a large answer costs: one byte out, 1 MB back."""

from __future__ import annotations

from benchmarks.harness.competitors import c_server, python_server
from benchmarks.harness.load_generator import Workload
from benchmarks.harness.rounds import Plan, alternate
from benchmarks.report.finding import Finding
from benchmarks.report.tables import servers

WORKERS = 4
SIZE = 1_000_000
PLAN = Plan(
    rounds=6, seconds=0.5, clients=8, warm_up=50, workload=Workload(kind="large", size=SIZE)
)
C = "C prefork"


def measure(plan: Plan = PLAN) -> Finding:
    competitors = (
        c_server(WORKERS, "large", size=SIZE, name=C),
        python_server("prefork", "large", WORKERS, size=SIZE, name="prefork"),
        python_server("handoff", "large", WORKERS, size=SIZE, name="prefork, handoff"),
        python_server("threading", "large", 1, size=SIZE, name="ThreadingTCPServer"),
        python_server("forking", "large", 1, size=SIZE, name="ForkingTCPServer"),
    )
    rounds = alternate(competitors, plan)
    return Finding(
        question=f"server CPU of an answer of {SIZE / 1e6:g} MB, {WORKERS} workers, "
        f"{plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, C),
        goals=[],
    )
