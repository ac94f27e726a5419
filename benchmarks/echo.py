"""What one small request costs the server: connect, echo of 32 bytes, close."""

from __future__ import annotations

from benchmarks.contenders import c_server, python_server
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, alternate, ratios
from benchmarks.tables import COST, LATENCIES, PLAIN_RATE, servers

WORKERS = 4
MOST_OF_C = 1.9
LEAST_OF_FORKING = 30.0
PLAN = Plan(rounds=12, seconds=0.7, clients=16)


def measure(plan: Plan = PLAN) -> Outcome:
    c, ours = c_server(WORKERS), python_server("prefork", "echo", WORKERS, name="prefork")
    looped = python_server("looped", "echo", WORKERS, name="stdlib path looped")
    forking = python_server("forking", "echo", WORKERS, name="ForkingTCPServer")
    contenders = (c, c_server(WORKERS, "shutdown", name="C with shutdown()"), looped, ours, forking)
    rounds = alternate(contenders, plan, "echo")
    to_c = ratios(rounds, ours.name, c.name, COST.of)
    of_forking = ratios(rounds, forking.name, ours.name, COST.of)
    return Outcome(
        name="echo",
        question=f"server CPU of a one-connection echo, {WORKERS} workers, {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, (COST, PLAIN_RATE, *LATENCIES), COST, c.name),
        targets=[
            Target(
                "prefork costs {:.2f} times the C server",
                to_c.median,
                to_c.margin,
                at_most=MOST_OF_C,
            ),
            Target(
                "ForkingTCPServer costs {:.0f} times prefork",
                of_forking.median,
                of_forking.margin,
                at_least=LEAST_OF_FORKING,
            ),
        ],
        remarks=[
            "Requests per second are those of the load generator, which is busy with one core.",
        ],
    )
