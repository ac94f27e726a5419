"""The command line: `python -m benchmarks`, or one measurement: `python -m benchmarks echo`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from cyclopts import App

from benchmarks import cpu, echo, heap, scoreboard, strategies
from benchmarks.build import BuildError
from benchmarks.contenders import ServerFailed
from benchmarks.output import Outcome, console
from benchmarks.rounds import Plan


@dataclass(frozen=True)
class Measurement:
    """One of those that can be asked for by name."""

    help: str
    measure: Callable[[Plan], Outcome]
    plan: Plan


MEASUREMENTS = {
    "echo": Measurement(
        "Server CPU of an echo request: a C server, ours, the standard library.",
        echo.measure,
        echo.PLAN,
    ),
    "cpu": Measurement(
        "Throughput of a CPU-heavy handler on one worker and on two.", cpu.measure, cpu.PLAN
    ),
    "heap": Measurement(
        "Echo requests with 200 MB of objects in the master.", heap.measure, heap.PLAN
    ),
    "strategies": Measurement(
        "Echo requests under each strategy.", strategies.measure, strategies.PLAN
    ),
    "scoreboard": Measurement(
        "The scoreboard's share of an echo request.", scoreboard.measure, scoreboard.PLAN
    ),
}

app = App(
    name="python -m benchmarks",
    version_flags=[],
    help="Measure what a request costs, against a C server and the standard library. The exit "
    "code is 1 if a target is not reached; every round is kept in benchmarks/results.",
)


def run(*names: str, rounds: int | None = None, seconds: float | None = None) -> int:
    """Run measurements one after the other; the exit code."""
    outcomes = []
    for name in names:
        plan = MEASUREMENTS[name].plan
        outcome = MEASUREMENTS[name].measure(
            replace(plan, rounds=rounds or plan.rounds, seconds=seconds or plan.seconds)
        )
        outcome.show()
        outcome.save()
        outcomes.append(outcome)
    return 0 if all(outcome.reached for outcome in outcomes) else 1


@app.default
def everything(*, rounds: int | None = None, seconds: float | None = None) -> int:
    """Run all measurements.

    Parameters
    ----------
    rounds
        Rounds for each server; each measurement has a number of its own.
    seconds
        How long a round is.
    """
    return run(*MEASUREMENTS, rounds=rounds, seconds=seconds)


def add_command(name: str) -> None:
    def one(*, rounds: int | None = None, seconds: float | None = None) -> int:
        return run(name, rounds=rounds, seconds=seconds)

    app.command(one, name=name, help=MEASUREMENTS[name].help)


for each in MEASUREMENTS:
    add_command(each)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(app())
    except (BuildError, ServerFailed) as error:
        console.print(str(error), markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
