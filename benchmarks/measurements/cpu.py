"""What a second worker adds for a handler that keeps a core busy for 1, 5 or 20 ms.

Twice the throughput is out of reach while the load generator runs on the same two cores: four
hundred connections per second take a few hundredths of a core, and a handler of 1 ms serves five
times as many. The cores of a virtual machine also change their speed by a third and more from one
moment to the next, hence many short trials. The column `cores` does not depend on that: it shows
whether the cores were kept busy.
"""

from __future__ import annotations

import os

from benchmarks.harness.calibration import loops_for
from benchmarks.harness.competitors import python_server
from benchmarks.harness.rounds import Plan, Spread, alternate, ratios
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import CAPTION, CORES, LATENCIES, RATE, listing, show

MILLISECONDS = (1, 5, 20)
OF_GOAL = 5
LEAST_SHARE = 0.97
PLAN = Plan(rounds=14, seconds=0.4, clients=8, warm_up=20, quiet=0.05)


def measure(plan: Plan = PLAN) -> Finding:
    competitors = [
        python_server("prefork", "burn", workers, name=name(each, workers), loops=loops)
        for each, loops in ((each, loops_for(each / 1e3)) for each in MILLISECONDS)
        for workers in (1, 2)
    ]
    rounds = alternate(competitors, plan)
    gains = {each: ratios(rounds, name(each, 2), name(each, 1), RATE.of) for each in MILLISECONDS}
    gain, two = gains[OF_GOAL], rounds[name(OF_GOAL, 2)]
    load = Spread.of(each.load for each in two).median
    remarks = [f"The load generator used {load:.3f} cores during the trials of {name(OF_GOAL, 2)}."]
    enough_cores = len(os.sched_getaffinity(0)) >= 2
    if not enough_cores:
        remarks.append("This machine has one core: a second worker adds nothing.")
    quiet = Spread.of(each.others for each in two).median <= plan.quiet
    if not quiet:
        remarks.append("Other work used the cores, but the measurement needs both: measure again.")
    columns = (RATE, CORES, *LATENCIES)
    return Finding(
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
            CAPTION,
        ),
        goals=[
            Goal(
                f"with {OF_GOAL} ms, 2 workers serve {{:.3f}} of twice what 1 worker serves",
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
