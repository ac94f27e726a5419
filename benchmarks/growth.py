"""What an echo costs as the pool and the number of clients grow, and what an idle pool costs.

The pools of all sizes run all the time, so each is measured beside the others' idle workers. In the
order fifo the requests go round all workers, and each meets one whose memory has left the caches.
What that alone costs shows the C server, which goes round as well; the order lifo does not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from benchmarks.contenders import Running, c_server, python_server
from benchmarks.output import Outcome, Target
from benchmarks.processes import times_slept
from benchmarks.progress import bar
from benchmarks.rounds import Plan, alternate, ratios, under_each
from benchmarks.tables import COST, servers
from benchmarks.watched import SETTLED, wait_for_workers
from prefork.readings.cpu import used_by_process

WORKERS = (1, 4, 16, 64, 256)
CLIENTS = (1, 4, 16, 64, 256, 1024)
WORKERS_FOR_CLIENTS = 4
HOT, C = "order lifo", "C prefork"
MOST_GROWTH = 1.1
MOST_PERCENT_OF_A_CORE = 0.1
IDLE_SECONDS = 5.0
PLAN = Plan(rounds=6, seconds=0.5, clients=16, warm_up=5000)


@dataclass(frozen=True)
class Idle:
    """A pool with nothing to do, per second."""

    master_percent: float
    """Of a core."""
    wake_ups: float
    """Of all workers together."""


def measure(plan: Plan = PLAN) -> Outcome:
    few, many = (named(count, "workers") for count in (WORKERS_FOR_CLIENTS, max(WORKERS)))
    with bar.part(0.6):
        pools = [
            python_server("prefork", "echo", count, name=named(count, "workers"))
            for count in WORKERS
        ]
        pools += [
            contender
            for count in (WORKERS_FOR_CLIENTS, max(WORKERS))
            for contender in (
                python_server("lifo", "echo", count, name=f"{HOT}, {named(count, 'workers')}"),
                c_server(count, name=f"{C}, {named(count, 'workers')}"),
            )
        ]
        bar.at(0, "growth: workers")
        rounds = alternate(pools, plan)
    with bar.part(0.3):
        loads = {named(count, "clients"): replace(plan, clients=count) for count in CLIENTS}
        pool = python_server("prefork", "echo", WORKERS_FOR_CLIENTS, name="prefork")
        bar.at(0, "growth: clients")
        rounds |= under_each(pool, loads)
    with bar.part(0.1):
        idle = measure_idle(max(WORKERS))
    growth = ratios(rounds, many, few, COST.of)
    others = {
        name: ratios(rounds, f"{name}, {many}", f"{name}, {few}", COST.of).median
        for name in (HOT, C)
    }
    return Outcome(
        question=f"server CPU of an echo by workers ({plan.clients} clients) and by clients "
        f"({WORKERS_FOR_CLIENTS} workers).",
        rounds=rounds,
        table=servers(rounds, few),
        targets=[
            Target(
                f"{many} cost {{:.2f}} times what {few} do",
                growth.median,
                growth.margin,
                at_most=MOST_GROWTH,
            ),
            Target(
                f"the master of {max(WORKERS)} idle workers takes {{:.3f}} % of a core",
                idle.master_percent,
                at_most=MOST_PERCENT_OF_A_CORE,
            ),
            Target(
                f"{max(WORKERS)} idle workers wake up {{:g}} times in a second, all together",
                idle.wake_ups,
                at_most=0,
            ),
        ],
        remarks=[
            f"In the order lifo {many} cost {others[HOT]:.2f} times what {few} do, and those of "
            f"{C} {others[C]:.2f} times."
        ],
        figures={"idle": vars(idle)},
    )


def named(count: int, what: str) -> str:
    return f"{count} {what.removesuffix('s') if count == 1 else what}"


def measure_idle(count: int) -> Idle:
    """Watch a pool of so many workers that has never had a request, once it has settled."""
    with Running(python_server("prefork", "echo", count, name=f"{count} idle workers")) as server:
        workers = wait_for_workers(server, count)
        time.sleep(SETTLED)
        cpu, began = used_by_process(server.pid), time.monotonic()
        slept = sum(map(times_slept, workers))
        time.sleep(IDLE_SECONDS)
        wake_ups = sum(map(times_slept, workers)) - slept
        cpu, seconds = used_by_process(server.pid) - cpu, time.monotonic() - began
    return Idle(round(100 * cpu / seconds, 4), wake_ups / seconds)
