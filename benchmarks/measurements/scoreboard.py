"""The share of an echo that the scoreboard takes.

A server with a scoreboard differs from a server without it by less than two trials of the same
server differ.
The calls that a worker makes for each request are therefore timed alone, many in a row, and
compared with the CPU time of a whole request. In a row they find their code and data in the nearest
cache, which they do not in a server. On the other hand they include two readings of the clock,
which a worker without a scoreboard would mostly make too.
"""

from __future__ import annotations

import timeit

from benchmarks.harness.competitors import python_server
from benchmarks.harness.rounds import Plan, Spread, alternate
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import CAPTION, COST, listing, show
from prefork.workers.protocol.scoreboard import Scoreboard

WORKERS = 4
MOST_PERCENT = 2.0
REPEATS, CALLS = 15, 10_000
PLAN = Plan(rounds=8, seconds=0.7, clients=16)


def measure(plan: Plan = PLAN) -> Finding:
    pool = python_server("prefork", "echo", WORKERS, name="prefork")
    rounds = alternate((pool,), plan)
    request = Spread.of(map(COST.of, rounds[pool.name]))
    calls = calls_of_a_request()
    share = 100 * calls.median / request.median
    margin = share * (calls.margin / calls.median + request.margin / request.median)
    return Finding(
        question="what it costs a worker to record its state in the scoreboard, for each echo.",
        rounds=rounds,
        table=listing(
            ("what", "CPU µs"),
            (
                ("a whole echo request", show(request, ".2f", True)),
                ("its calls of the scoreboard", show(calls, ".2f", True)),
            ),
            CAPTION,
        ),
        figures={"calls_us": vars(calls)},
        goals=[
            Goal(
                "the scoreboard takes {:.1f} % of an echo",
                share,
                margin,
                at_most=MOST_PERCENT,
            )
        ],
    )


def calls_of_a_request() -> Spread:
    """Return the microseconds of the calls on a slot that a worker's loop makes per request."""
    slot = Scoreboard().slot(0)
    client_address = ("127.0.0.1", 40_000)

    def one_request() -> None:
        slot.take(client_address)
        slot.done()

    def nothing() -> None:
        pass

    empty = min(timeit.repeat(nothing, number=CALLS, repeat=REPEATS))
    series = timeit.repeat(one_request, number=CALLS, repeat=REPEATS)
    return Spread.of((seconds - empty) / CALLS * 1e6 for seconds in series)
