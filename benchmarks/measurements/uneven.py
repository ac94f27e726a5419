"""How long clients wait under each strategy when some send more often than others.

The handler computes for 10 ms. The clients pause at random after an answer: the first never, the
last the longest.
"""

from __future__ import annotations

from benchmarks.harness.calibration import loops_for
from benchmarks.harness.competitors import python_server
from benchmarks.harness.load_generator import Workload
from benchmarks.harness.rounds import Plan, Spread, alternate, ratios
from benchmarks.measurements.strategies import NAMES
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import LATENCIES, PLAIN_RATE, servers

WORKERS = 2
HANDLER_SECONDS = 0.010
MOST_TIMES = 1.1
"""The p99 of a trial is about its third longest wait: two equal servers differ by a tenth."""
PLAN = Plan(
    rounds=5,
    seconds=1.5,
    clients=4,
    workload=Workload(think=0.015, uneven=True),
    warm_up=20,
    quiet=0.1,
)


def measure(plan: Plan = PLAN) -> Finding:
    loops = loops_for(HANDLER_SECONDS)
    competitors = [
        python_server(kind, "burn", WORKERS, name=name, loops=loops) for kind, name in NAMES.items()
    ]
    rounds = alternate(competitors, plan)
    handoff, p99 = NAMES["handoff"], LATENCIES[1]
    best = min(
        (name for name in rounds if name != handoff),
        key=lambda name: Spread.of(map(p99.of, rounds[name])).median,
    )
    times = ratios(rounds, handoff, best, p99.of)
    disturbed = Spread.of(one.others for series in rounds.values() for one in series).median
    return Finding(
        question=f"latency of a {HANDLER_SECONDS * 1e3:g} ms CPU handler, {WORKERS} workers, "
        f"{plan.clients} clients that pause 0 to {4e3 * plan.workload.think:g} ms.",
        rounds=rounds,
        table=servers(rounds, handoff, (PLAIN_RATE, *LATENCIES), p99),
        goals=[
            Goal(
                f"the p99 of handoff is {{:.2f}} times that of the best other strategy ({best})",
                times.median,
                times.margin,
                at_most=MOST_TIMES,
                valid=disturbed <= plan.quiet,
            )
        ],
    )
