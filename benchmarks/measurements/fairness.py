"""Which idle worker gets the next request, and how often workers are woken without a request.

One client makes one connection after another, with a pause in which all workers block again. The
handler answers without reading, so a worker blocks only where it waits for the next request. The
kernel counts how often each worker was woken; each wake-up beyond its number of requests is wasted.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.harness.competitors import RunningServer, python_server
from benchmarks.harness.probe import SETTLED, times_woken, using, wait_for_workers
from benchmarks.harness.progress import bar
from benchmarks.harness.python_clients import one_after_another
from benchmarks.harness.rounds import QUIET, Plan, Spread
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import listing

WORKERS = 4
CONNECTIONS = 400
PAUSE = 0.0003
LONG_PAUSE = 0.01
"""A pause long enough for a worker to wake up and write in its title that it is idle."""
LEAST, MOST = 90, 110
LEAST_PERCENT_ON_ONE = 90.0
MOST_PERCENT_WASTED = 1.0
PLAN = Plan(rounds=5, seconds=0, clients=1)
KINDS = {"fifo": "prefork", "lifo": "lifo"}
"""The kind of server for each `idle_order`."""


@dataclass(frozen=True)
class FairnessRound:
    """What each worker served, and how often it was woken; the busiest worker first."""

    served: tuple[int, ...]
    woken: tuple[int, ...]
    others: float
    """Cores that were used by neither the server nor the client."""

    @property
    def wasted(self) -> int:
        """The number of wake-ups without a request; one wake-up may also bring two requests."""
        pairs = zip(self.woken, self.served, strict=True)
        return sum(max(0, woken - served) for woken, served in pairs)


def measure(plan: Plan = PLAN) -> Finding:
    rounds: dict[str, list[FairnessRound]] = {}
    for order in KINDS:
        with bar.part(0.4):
            rounds[order] = rounds_of(order, plan.rounds, CONNECTIONS, PAUSE)
    with bar.part(0.2):
        (slow,) = rounds_of("fifo", 1, CONNECTIONS // 2, LONG_PAUSE)
    fifo = [one.served for one in rounds["fifo"]]
    on_one = min(max(one.served) for one in rounds["lifo"])
    others = Spread.of(one.others for series in rounds.values() for one in series).median
    remarks = [
        "A worker that has had no request for 50 ms wakes up once, to write in its title that it "
        f"is idle. With a connection every {LONG_PAUSE * 1e3:g} ms in the order fifo, "
        f"{slow.wasted} such wake-ups come beside {CONNECTIONS // 2} with a request."
    ]
    if others > QUIET:
        remarks.append(
            f"Other work used {others:.2f} cores during the rounds: workers may have been idle for "
            "50 ms in these rounds too."
        )
    return Finding(
        question=f"which worker serves {CONNECTIONS} connections one after another, "
        f"{WORKERS} workers, {plan.rounds} rounds.",
        rounds={},
        table=listing(
            ("idle_order, round", "served by each", "woken", "wasted"),
            (
                (
                    f"{order}, {number}",
                    " ".join(map(str, one.served)),
                    " ".join(map(str, one.woken)),
                    str(one.wasted),
                )
                for order, series in rounds.items()
                for number, one in enumerate(series, 1)
            ),
        ),
        goals=[
            Goal("fifo: each worker serves at least {}", min(map(min, fifo)), at_least=LEAST),
            Goal("fifo: each worker serves at most {}", max(map(max, fifo)), at_most=MOST),
            Goal(
                "lifo: one worker serves {:.1f} % in every round",
                100 * on_one / CONNECTIONS,
                at_least=LEAST_PERCENT_ON_ONE,
            ),
            *(wasted(order, series, others) for order, series in rounds.items()),
        ],
        remarks=remarks,
        figures={
            order: [{"served": one.served, "woken": one.woken} for one in series]
            for order, series in rounds.items()
        },
    )


def wasted(order: str, series: list[FairnessRound], others: float) -> Goal:
    """Return the goal for wasted wake-ups; void if it is missed on a busy machine, because other
    work can only add some."""
    requests = sum(sum(one.served) for one in series)
    percent = 100 * sum(one.wasted for one in series) / requests
    return Goal(
        f"{order}: {{:.2f}} % of all wake-ups are wasted",
        percent,
        at_most=MOST_PERCENT_WASTED,
        valid=others <= QUIET or percent <= MOST_PERCENT_WASTED,
    )


def rounds_of(order: str, count: int, connections: int, pause: float) -> list[FairnessRound]:
    """Make `count` rounds with one server."""
    rounds = []
    with RunningServer(python_server(KINDS[order], "pid", WORKERS, name=order)) as server:
        workers = wait_for_workers(server, WORKERS)
        for number in range(count):
            time.sleep(SETTLED)
            with using(server) as usage:
                before = [times_woken(pid) for pid in workers]
                replies = list(one_after_another(server.port, connections, pause))
                time.sleep(PAUSE)  # until the last worker blocks again
                after = [times_woken(pid) for pid in workers]
            served = Counter(reply.pid for reply in replies)
            pairs = sorted(
                ((served[p], a - b) for p, a, b in zip(workers, after, before, strict=True)),
                reverse=True,
            )
            most_first, woken = zip(*pairs, strict=True)
            rounds.append(FairnessRound(most_first, woken, usage.others))
            bar.at((number + 1) / count, f"fairness: {order}")
    return rounds
