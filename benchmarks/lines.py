"""What a line costs on a connection that is kept: 32 bytes out, the same back."""

from __future__ import annotations

from benchmarks import targets
from benchmarks.contenders import c_server, python_server
from benchmarks.load import Load
from benchmarks.output import Outcome
from benchmarks.rounds import Plan, alternate
from benchmarks.tables import servers

WORKERS = 4
PLAN = Plan(rounds=9, seconds=0.4, clients=WORKERS, load=Load(kind="lines"))
C, OURS = "C prefork", "prefork"


def measure(plan: Plan = PLAN) -> Outcome:
    contenders = (
        c_server(WORKERS, "lines", name=C),
        python_server("looped", "lines", WORKERS, name="stdlib path looped"),
        python_server("prefork", "lines", WORKERS, name=OURS),
        python_server("prefork", "kept", WORKERS, name="prefork, recv and sendall"),
        python_server("threaded", "lines", 2, name="prefork, 2 workers with threads"),
        python_server("threading", "lines", 1, name="ThreadingTCPServer"),
        python_server("forking", "lines", 1, name="ForkingTCPServer"),
    )
    rounds = alternate(contenders, plan)
    return Outcome(
        question=f"server CPU of a line on a kept connection, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, C),
        targets=targets.cost(rounds, OURS, C, at_most=1.5),
        remarks=[
            "The handler reads lines from rfile and writes to wfile, where nothing else is said."
        ],
    )
