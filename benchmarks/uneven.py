"""How long clients wait under each strategy when they are not alike.

The handler computes for 10 ms. The clients pause after an answer: one never, one long, at random.
"""

from __future__ import annotations

from benchmarks.contenders import python_server
from benchmarks.cpu import loops_for
from benchmarks.load import Load
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, Spread, alternate, ratios
from benchmarks.strategies import NAMES
from benchmarks.tables import LATENCIES, PLAIN_RATE, servers

WORKERS = 2
HANDLER_SECONDS = 0.010
NO_WORSE = 1.1
"""A p99 of a round is its third longest wait or so: two equal servers differ by a tenth."""
PLAN = Plan(
    rounds=5,
    seconds=1.5,
    clients=4,
    load=Load(think=0.015, uneven=True),
    warm_up=20,
    quiet=0.1,
)


def measure(plan: Plan = PLAN) -> Outcome:
    loops = loops_for(HANDLER_SECONDS)
    contenders = [
        python_server(kind, "burn", WORKERS, name=name, loops=loops) for kind, name in NAMES.items()
    ]
    rounds = alternate(contenders, plan)
    handoff, p99 = NAMES["handoff"], LATENCIES[1]
    best = min(
        (name for name in rounds if name != handoff),
        key=lambda name: Spread.of(map(p99.of, rounds[name])).median,
    )
    times = ratios(rounds, handoff, best, p99.of)
    disturbed = Spread.of(one.others for series in rounds.values() for one in series).median
    return Outcome(
        question=f"latency of a {HANDLER_SECONDS * 1e3:g} ms CPU handler, {WORKERS} workers, "
        f"{plan.clients} clients that pause 0 to {4e3 * plan.load.think:g} ms.",
        rounds=rounds,
        table=servers(rounds, handoff, (PLAIN_RATE, *LATENCIES), p99),
        targets=[
            Target(
                f"p99 of handoff is {{:.2f}} times that of the best other, {best}",
                times.median,
                times.margin,
                at_most=NO_WORSE,
                valid=disturbed <= plan.quiet,
            )
        ],
    )
