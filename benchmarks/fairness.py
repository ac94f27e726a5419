"""Which idle worker gets the next request, and who is woken for nothing.

One client, one connection after another, with a pause in which all workers fall asleep again. The
handler answers without reading, so that a worker sleeps only where it waits for the next request:
the kernel counts how often each was woken, and every time that it was not to serve is wasted.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.clients import one_after_another
from benchmarks.contenders import Running, python_server
from benchmarks.output import QUIET, Outcome, Target
from benchmarks.processes import times_slept
from benchmarks.progress import bar
from benchmarks.rounds import Plan, Spread
from benchmarks.tables import listing
from benchmarks.watched import SETTLED, using, wait_for_workers

WORKERS = 4
CONNECTIONS = 400
PAUSE = 0.0003
LEISURE = 0.01
"""A pause in which a worker has time to tell in its title that it is idle, for which it wakes."""
LEAST, MOST = 90, 110
LEAST_PERCENT_HOT = 90.0
MOST_PERCENT_WASTED = 1.0
PLAN = Plan(rounds=5, seconds=0, clients=1)
KINDS = {"fifo": "prefork", "lifo": "lifo"}
"""The kind of server for each order."""


@dataclass(frozen=True)
class Shares:
    """One round: what each worker served, and how often it was woken; the busiest first."""

    served: tuple[int, ...]
    woken: tuple[int, ...]
    others: float
    """Cores that were taken by what is neither the server nor the client."""

    @property
    def wasted(self) -> int:
        """Wake-ups without a request; a worker may also serve two for one wake-up."""
        pairs = zip(self.woken, self.served, strict=True)
        return sum(max(0, woken - served) for woken, served in pairs)


def measure(plan: Plan = PLAN) -> Outcome:
    rounds: dict[str, list[Shares]] = {}
    for order in KINDS:
        with bar.part(0.4):
            rounds[order] = shares(order, plan.rounds, CONNECTIONS, PAUSE)
    with bar.part(0.2):
        (leisurely,) = shares("fifo", 1, CONNECTIONS // 2, LEISURE)
    everybody = [one.served for one in rounds["fifo"]]
    hot = min(max(one.served) for one in rounds["lifo"])
    others = Spread.of(one.others for series in rounds.values() for one in series).median
    remarks = [
        f"A worker that has had no request for 50 ms wakes once, to say in its title that it "
        f"is idle. With a connection every {LEISURE * 1e3:g} ms, in the order fifo, that makes "
        f"{leisurely.wasted} wake-ups without a request beside {CONNECTIONS // 2} with one."
    ]
    if others > QUIET:
        remarks.append(
            f"Other work took {others:.2f} cores meanwhile, so that workers may have been idle for "
            "so long in the rounds too."
        )
    return Outcome(
        question=f"who serves {CONNECTIONS} connections one after another, {WORKERS} workers, "
        f"{plan.rounds} rounds.",
        rounds={},
        table=listing(
            ("order, round", "served by each", "woken", "wasted"),
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
        targets=[
            Target("fair: {} at least for each", min(map(min, everybody)), at_least=LEAST),
            Target("fair: {} at most for each", max(map(max, everybody)), at_most=MOST),
            Target(
                "hot: {:.1f} % on one in every round",
                100 * hot / CONNECTIONS,
                at_least=LEAST_PERCENT_HOT,
            ),
            *(wasted(order, series, others) for order, series in rounds.items()),
        ],
        remarks=remarks,
        figures={
            order: [{"served": one.served, "woken": one.woken} for one in series]
            for order, series in rounds.items()
        },
    )


def wasted(order: str, series: list[Shares], others: float) -> Target:
    """Void where it is missed on a busy machine, which can only add wake-ups."""
    requests = sum(sum(one.served) for one in series)
    percent = 100 * sum(one.wasted for one in series) / requests
    return Target(
        f"{order}: {{:.2f}} % of all wake-ups were wasted",
        percent,
        at_most=MOST_PERCENT_WASTED,
        valid=others <= QUIET or percent <= MOST_PERCENT_WASTED,
    )


def shares(order: str, count: int, connections: int, pause: float) -> list[Shares]:
    """So many rounds on one server."""
    rounds = []
    with Running(python_server(KINDS[order], "pid", WORKERS, name=order)) as server:
        workers = wait_for_workers(server, WORKERS)
        for number in range(count):
            time.sleep(SETTLED)
            with using(server) as usage:
                before = [times_slept(pid) for pid in workers]
                answers = list(one_after_another(server.port, connections, pause))
                time.sleep(PAUSE)  # until the last one is asleep again
                after = [times_slept(pid) for pid in workers]
            served = Counter(answer.pid for answer in answers)
            pairs = sorted(
                ((served[p], a - b) for p, a, b in zip(workers, after, before, strict=True)),
                reverse=True,
            )
            most_first, wake_ups = zip(*pairs, strict=True)
            rounds.append(Shares(most_first, wake_ups, usage.others))
            bar.at((number + 1) / count, f"fairness: {order}")
    return rounds
