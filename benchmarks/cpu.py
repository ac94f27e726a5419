"""What a second worker brings to a handler that keeps a core busy, for 1, 5 and 20 ms.

Twice is out of reach where the load generator runs on the same two cores: opening and closing four
hundred connections a second takes some hundredths of a core, and 1 ms handlers take five times as
many. And the cores of a virtual machine are faster at one moment than at the next, by a third and
more: hence many short rounds. The column of cores does not depend on that; it says whether they
were kept busy.
"""

from __future__ import annotations

import os
import time

from benchmarks.contenders import python_server
from benchmarks.handlers import work
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, Spread, alternate, ratios
from benchmarks.tables import CORES, LATENCIES, RATE, listing, show

MILLISECONDS = (1, 5, 20)
OF_TARGET = 5
LEAST_SHARE = 0.97
PLAN = Plan(rounds=14, seconds=0.4, clients=8, warm_up=20, quiet=0.05)


def measure(plan: Plan = PLAN) -> Outcome:
    contenders = [
        python_server("prefork", "burn", workers, name=name(each, workers), loops=loops)
        for each, loops in ((each, loops_for(each / 1e3)) for each in MILLISECONDS)
        for workers in (1, 2)
    ]
    rounds = alternate(contenders, plan)
    gains = {each: ratios(rounds, name(each, 2), name(each, 1), RATE.of) for each in MILLISECONDS}
    gain, two = gains[OF_TARGET], rounds[name(OF_TARGET, 2)]
    load = Spread.of(each.load for each in two).median
    remarks = [f"The load generator took {load:.3f} cores beside {name(OF_TARGET, 2)}."]
    enough_cores = len(os.sched_getaffinity(0)) >= 2
    if not enough_cores:
        remarks.append("There is only one core: nothing can be won here.")
    quiet = Spread.of(each.others for each in two).median <= plan.quiet
    if not quiet:
        remarks.append("Both cores are needed, and were not to be had: measure again.")
    columns = (RATE, CORES, *LATENCIES)
    return Outcome(
        question=f"throughput of a handler of {', '.join(map(str, MILLISECONDS))} ms pure Python, "
        f"{plan.clients} clients.",
        rounds=rounds,
        table=listing(
            ("server", *(column.title for column in columns), "gain"),
            (
                (
                    name(each, workers),
                    *(column.cell(rounds[name(each, workers)]) for column in columns),
                    show(gains[each], ".2f", with_spread=True) if workers == 2 else "",
                )
                for each in MILLISECONDS
                for workers in (1, 2)
            ),
            caption="Medians, ± half the middle half.",
        ),
        targets=[
            Target(
                f"of {OF_TARGET} ms, 2 workers serve {{:.3f}} of twice what 1 worker serves",
                gain.median / 2,
                gain.margin / 2,
                at_least=LEAST_SHARE,
                valid=enough_cores and quiet,
            )
        ],
        remarks=remarks,
    )


def name(milliseconds: int, workers: int) -> str:
    return f"{milliseconds} ms, {workers} worker{'s' if workers > 1 else ''}"


def loops_for(seconds: float) -> int:
    """How often `work` turns in so long; the best of several tries, since others disturb."""
    sample = 20_000
    best = float("inf")
    for _ in range(9):
        began = time.perf_counter()
        work(sample)
        best = min(best, time.perf_counter() - began)
    return int(sample * seconds / best)
