"""What a datagram costs: 32 bytes out, the same back. Each client has one on its way."""

from __future__ import annotations

from benchmarks import targets
from benchmarks.contenders import c_server, python_server
from benchmarks.load import Load
from benchmarks.output import Outcome
from benchmarks.rounds import Plan, alternate
from benchmarks.tables import servers

WORKERS = 4
PLAN = Plan(rounds=10, seconds=0.4, clients=16, load=Load(kind="datagram"))
C, OURS = "C prefork", "prefork"


def measure(plan: Plan = PLAN) -> Outcome:
    contenders = (
        c_server(WORKERS, "datagram", name=C),
        python_server("looped", "datagram", WORKERS, name="stdlib path looped"),
        python_server("prefork", "datagram", WORKERS, name=OURS),
        python_server("reuseport", "datagram", WORKERS, name="prefork, reuseport"),
        python_server("handoff", "datagram", WORKERS, name="prefork, handoff"),
        python_server("plain", "datagram", 1, name="UDPServer"),
        python_server("threading", "datagram", 1, name="ThreadingUDPServer"),
        python_server("forking", "datagram", 1, name="ForkingUDPServer"),
    )
    rounds = alternate(contenders, plan)
    resent = sum(one.resent for series in rounds.values() for one in series)
    return Outcome(
        question=f"server CPU of a UDP echo, {WORKERS} workers, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, C),
        targets=targets.cost(rounds, OURS, C, at_most=2.0),
        remarks=[f"{resent} datagrams were sent again."],
    )
