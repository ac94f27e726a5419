"""What a second worker brings to a handler that keeps a core busy.

Twice is out of reach where the load generator runs on the same two cores: opening and closing four
hundred connections a second takes some hundredths of a core. And the cores of a virtual machine are
faster at one moment than at the next, by a third and more: hence many short rounds. The column of
cores does not depend on that; it says whether they were kept busy.
"""

from __future__ import annotations

import os
import time

from benchmarks.contenders import python_server
from benchmarks.handlers import work
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, Spread, alternate, ratios
from benchmarks.tables import CORES, LATENCIES, RATE, servers

HANDLER_SECONDS = 0.005
LEAST_SHARE = 0.97
PLAN = Plan(rounds=40, seconds=0.4, clients=8, warm_up=20, quiet=0.05)


def measure(plan: Plan = PLAN) -> Outcome:
    loops = loops_for(HANDLER_SECONDS)
    one = python_server("prefork", "burn", 1, name="1 worker", loops=loops)
    two = python_server("prefork", "burn", 2, name="2 workers", loops=loops)
    rounds = alternate((one, two), plan, "cpu")
    gain = ratios(rounds, two.name, one.name, RATE.of)
    load = Spread.of(one.load for one in rounds[two.name]).median
    remarks = [f"The load generator took {load:.3f} cores beside 2 workers."]
    enough_cores = len(os.sched_getaffinity(0)) >= 2
    if not enough_cores:
        remarks.append("There is only one core: nothing can be won here.")
    quiet = Spread.of(one.others for one in rounds[two.name]).median <= plan.quiet
    if not quiet:
        remarks.append("Both cores are needed, and were not to be had: measure again.")
    return Outcome(
        name="cpu",
        question=f"throughput of a handler of {HANDLER_SECONDS * 1e3:g} ms pure Python "
        f"({loops} turns of a loop), {plan.clients} clients.",
        rounds=rounds,
        table=servers(rounds, (RATE, CORES, *LATENCIES), RATE, one.name),
        targets=[
            Target(
                "2 workers serve {:.3f} of twice what 1 worker serves",
                gain.median / 2,
                gain.margin / 2,
                at_least=LEAST_SHARE,
                valid=enough_cores and quiet,
            )
        ],
        remarks=remarks,
    )


def loops_for(seconds: float) -> int:
    """How often `work` turns in so long; the best of several tries, since others disturb."""
    sample = 20_000
    best = float("inf")
    for _ in range(9):
        began = time.perf_counter()
        work(sample)
        best = min(best, time.perf_counter() - began)
    return int(sample * seconds / best)
