"""How long clients wait under each strategy when they are not alike.

The handler computes for 10 ms. The clients pause after an answer: one never, one long, at random.
"""

from __future__ import annotations

from benchmarks import targets
from benchmarks.contenders import python_server
from benchmarks.cpu import loops_for
from benchmarks.load import Load
from benchmarks.output import Outcome
from benchmarks.rounds import Plan, alternate
from benchmarks.strategies import NAMES
from benchmarks.tables import LATENCIES, PLAIN_RATE, servers

WORKERS = 2
HANDLER_SECONDS = 0.010
PLAN = Plan(rounds=5, seconds=2.0, clients=4, warm_up=20, load=Load(think=0.015, uneven=True))


def measure(plan: Plan = PLAN) -> Outcome:
    loops = loops_for(HANDLER_SECONDS)
    contenders = [
        python_server(kind, "burn", WORKERS, name=name, loops=loops) for kind, name in NAMES.items()
    ]
    rounds = alternate(contenders, plan, "uneven")
    p99 = LATENCIES[1]
    handoff = NAMES["handoff"]
    return Outcome(
        name="uneven",
        question=f"latency of a {HANDLER_SECONDS * 1e3:g} ms CPU handler, {WORKERS} workers, "
        f"{plan.clients} clients that pause 0 to {2e3 * plan.load.think:g} ms.",
        rounds=rounds,
        table=servers(rounds, (PLAIN_RATE, *LATENCIES), p99, handoff),
        targets=[
            target
            for name in NAMES.values()
            if name != handoff
            for target in targets.ratio(
                rounds,
                handoff,
                name,
                p99.of,
                f"p99 of handoff is {{:.2f}} times that of {name}",
                1.0,
            )
        ],
    )
