"""An rpyc service under rpyc's own servers and on a pool: connect, one call, close."""

from __future__ import annotations

from benchmarks.harness.competitors import installed, peer
from benchmarks.harness.load_generator import Workload
from benchmarks.harness.rounds import Plan, alternate
from benchmarks.report.finding import Finding
from benchmarks.report.tables import servers

WORKERS = 4
PLAN = Plan(rounds=4, seconds=1.0, clients=4, warm_up=20, workload=Workload(kind="rpyc"))
PREFORK = "rpyc on prefork"


def measure(plan: Plan = PLAN) -> Finding:
    competitors, remarks = installed(
        (
            peer("rpyc_prefork.py", WORKERS, name=PREFORK, needs="rpyc"),
            peer("rpyc_server.py", WORKERS, name="rpyc ForkingServer", needs="rpyc"),
            peer(
                "rpyc_server.py",
                WORKERS,
                "--kind=threaded",
                name="rpyc ThreadedServer",
                needs="rpyc",
            ),
        )
    )
    rounds = alternate(competitors, plan)
    return Finding(
        question=f"server CPU of a connection with one call, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, PREFORK),
        goals=[],
        remarks=["The clients are written in Python and limit the requests per second.", *remarks],
    )
