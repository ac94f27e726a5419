"""One rpyc service under rpyc's own servers and on our pool: connect, one call, close."""

from __future__ import annotations

from benchmarks.contenders import installed, peer
from benchmarks.load import Load
from benchmarks.output import Outcome
from benchmarks.rounds import Plan, alternate
from benchmarks.tables import servers

WORKERS = 4
PLAN = Plan(rounds=4, seconds=1.0, clients=4, warm_up=20, load=Load(kind="rpyc"))
OURS = "rpyc on prefork"


def measure(plan: Plan = PLAN) -> Outcome:
    contenders, remarks = installed(
        (
            peer("rpyc_prefork.py", WORKERS, name=OURS, needs="rpyc"),
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
    rounds = alternate(contenders, plan)
    return Outcome(
        question=f"server CPU of a connection with one call, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, OURS),
        targets=[],
        remarks=["The clients, in Python, are the bottleneck.", *remarks],
    )
