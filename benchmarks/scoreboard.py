"""What share of an echo request the scoreboard takes.

A server with the scoreboard against one without differs by less than two rounds of the same server
do. So the calls that a worker makes for each request are timed alone, a hundred thousand in a row,
and set against the CPU time of a whole request. In a row they find their code and data in the
nearest cache, which a server does not grant them; what is said of them includes two readings of the
clock, which a worker without a scoreboard would mostly make too.
"""

from __future__ import annotations

import timeit

from rich.table import Table

from benchmarks.contenders import python_server
from benchmarks.output import Outcome, Target
from benchmarks.rounds import Plan, Spread, alternate
from benchmarks.tables import COST, show

WORKERS = 4
MOST_PERCENT = 2.0
REPEATS, CALLS = 15, 10_000
PLAN = Plan(rounds=8, seconds=0.7, clients=16)


def measure(plan: Plan = PLAN) -> Outcome:
    ours = python_server("prefork", "echo", WORKERS, name="prefork")
    rounds = alternate((ours,), plan)
    request = Spread.of(map(COST.of, rounds[ours.name]))
    calls = calls_of_a_request()
    share = 100 * calls.median / request.median
    margin = share * (calls.margin / calls.median + request.margin / request.median)
    table = Table(caption="Medians; ± half the middle half.")
    table.add_column("what")
    table.add_column("CPU µs", justify="right")
    table.add_row("a whole echo request", show(request, ".2f", True))
    table.add_row("the scoreboard's calls in it", show(calls, ".2f", True))
    return Outcome(
        question="the cost of writing down what a worker is doing, in an echo request.",
        rounds=rounds,
        table=table,
        figures={"calls_us": vars(calls)},
        targets=[
            Target(
                "the scoreboard takes {:.1f} % of an echo request",
                share,
                margin,
                at_most=MOST_PERCENT,
            )
        ],
    )


def calls_of_a_request() -> Spread:
    """Microseconds of what `prefork.workers.loop` calls on its slot for each request."""
    from prefork.workers.protocol.scoreboard import Scoreboard

    slot = Scoreboard().slot(0)
    client_address = ("127.0.0.1", 40_000)

    def of_a_request() -> None:
        slot.take(client_address)
        slot.done()

    def nothing() -> None:
        pass

    empty = min(timeit.repeat(nothing, number=CALLS, repeat=REPEATS))
    series = timeit.repeat(of_a_request, number=CALLS, repeat=REPEATS)
    return Spread.of((seconds - empty) / CALLS * 1e6 for seconds in series)
