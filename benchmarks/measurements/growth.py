"""What an echo costs as the numbers of workers and clients grow, and what an idle pool costs.

The pools of all sizes run all the time, so each is measured beside the idle workers of the others.
In the order fifo the requests go round all workers, and each meets a worker whose memory is no
longer in the caches. The C server also goes round its workers, and shows what that alone costs;
with the order lifo, requests do not go round.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from benchmarks.harness.competitors import RunningServer, c_server, python_server
from benchmarks.harness.probe import SETTLED, times_woken, wait_for_workers
from benchmarks.harness.progress import bar
from benchmarks.harness.rounds import Plan, alternate, ratios, under_each
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import COST, servers
from prefork.readings.cpu import used_by_process

WORKERS = (1, 4, 16, 64, 256)
CLIENTS = (1, 4, 16, 64, 256, 1024)
WORKERS_FOR_CLIENTS = 4
LIFO, C = "order lifo", "C prefork"
MOST_GROWTH = 1.1
MOST_PERCENT_OF_A_CORE = 0.1
IDLE_SECONDS = 5.0
PLAN = Plan(rounds=6, seconds=0.5, clients=16, warm_up=5000)


@dataclass(frozen=True)
class IdleCost:
    """What an idle pool uses."""

    master_percent: float
    """Percentage of a core."""
    wake_ups: float
    """Wake-ups per second, of all workers together."""


def measure(plan: Plan = PLAN) -> Finding:
    few, many = (named(count, "workers") for count in (WORKERS_FOR_CLIENTS, max(WORKERS)))
    with bar.part(0.6):
        pools = [
            python_server("prefork", "echo", count, name=named(count, "workers"))
            for count in WORKERS
        ]
        pools += [
            competitor
            for count in (WORKERS_FOR_CLIENTS, max(WORKERS))
            for competitor in (
                python_server("lifo", "echo", count, name=f"{LIFO}, {named(count, 'workers')}"),
                c_server(count, name=f"{C}, {named(count, 'workers')}"),
            )
        ]
        bar.at(0, "growth: workers")
        rounds = alternate(pools, plan)
    with bar.part(0.3):
        plans = {named(count, "clients"): replace(plan, clients=count) for count in CLIENTS}
        pool = python_server("prefork", "echo", WORKERS_FOR_CLIENTS, name="prefork")
        bar.at(0, "growth: clients")
        rounds |= under_each(pool, plans)
    with bar.part(0.1):
        idle = measure_idle(max(WORKERS))
    growth = ratios(rounds, many, few, COST.of)
    others = {
        name: ratios(rounds, f"{name}, {many}", f"{name}, {few}", COST.of).median
        for name in (LIFO, C)
    }
    return Finding(
        question=f"server CPU of an echo by workers ({plan.clients} clients) and by clients "
        f"({WORKERS_FOR_CLIENTS} workers).",
        rounds=rounds,
        table=servers(rounds, few),
        goals=[
            Goal(
                f"{many} cost {{:.2f}} times as much as {few}",
                growth.median,
                growth.margin,
                at_most=MOST_GROWTH,
            ),
            Goal(
                f"the master of {max(WORKERS)} idle workers takes {{:.3f}} % of a core",
                idle.master_percent,
                at_most=MOST_PERCENT_OF_A_CORE,
            ),
            Goal(
                f"{max(WORKERS)} idle workers have {{:g}} wake-ups per second, all together",
                idle.wake_ups,
                at_most=0,
            ),
        ],
        remarks=[
            f"In the order lifo, {many} cost {others[LIFO]:.2f} times as much as {few}; with {C}, "
            f"they cost {others[C]:.2f} times as much."
        ],
        figures={"idle": vars(idle)},
    )


def named(count: int, what: str) -> str:
    return f"{count} {what.removesuffix('s') if count == 1 else what}"


def measure_idle(count: int) -> IdleCost:
    """Observe a pool that has not had any request, once its workers have settled."""
    with RunningServer(
        python_server("prefork", "echo", count, name=f"{count} idle workers")
    ) as server:
        workers = wait_for_workers(server, count)
        time.sleep(SETTLED)
        cpu, began = used_by_process(server.pid), time.monotonic()
        woken = sum(map(times_woken, workers))
        time.sleep(IDLE_SECONDS)
        wake_ups = sum(map(times_woken, workers)) - woken
        cpu, seconds = used_by_process(server.pid) - cpu, time.monotonic() - began
    return IdleCost(round(100 * cpu / seconds, 4), wake_ups / seconds)
