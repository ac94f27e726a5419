"""What a datagram costs: 32 bytes out, the same back. Each client has one datagram in transit."""

from __future__ import annotations

from benchmarks.harness.competitors import c_server, python_server
from benchmarks.harness.load_generator import Workload
from benchmarks.harness.rounds import Plan, alternate
from benchmarks.report import goals
from benchmarks.report.finding import Finding
from benchmarks.report.tables import servers

WORKERS = 4
PLAN = Plan(rounds=10, seconds=0.4, clients=16, workload=Workload(kind="datagram"))
C, PREFORK = "C prefork", "prefork"


def measure(plan: Plan = PLAN) -> Finding:
    competitors = (
        c_server(WORKERS, "datagram", name=C),
        python_server("looped", "datagram", WORKERS, name="stdlib path looped"),
        python_server("prefork", "datagram", WORKERS, name=PREFORK),
        python_server("reuseport", "datagram", WORKERS, name="prefork, reuseport"),
        python_server("handoff", "datagram", WORKERS, name="prefork, handoff"),
        python_server("plain", "datagram", 1, name="UDPServer"),
        python_server("threading", "datagram", 1, name="ThreadingUDPServer"),
        python_server("forking", "datagram", 1, name="ForkingUDPServer"),
    )
    rounds = alternate(competitors, plan)
    resent = sum(one.resent for series in rounds.values() for one in series)
    return Finding(
        question=f"server CPU of a UDP echo, {WORKERS} workers, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, C),
        goals=goals.cost(rounds, PREFORK, C, at_most=2.0),
        remarks=[f"{resent} datagrams were sent again."],
    )
