"""The command line: `python -m benchmarks` for all, `python -m benchmarks echo lines` for some.

It ends within a quarter of an hour: the seconds below, measured on two cores, are its budget.
"""

from __future__ import annotations

import difflib
import importlib
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from benchmarks.build import ROOT, BuildError
from benchmarks.contenders import ServerFailed
from benchmarks.load import LoadFailed
from benchmarks.output import Outcome, console
from benchmarks.plots import plot_all
from benchmarks.progress import bar
from benchmarks.report import NoPlace, write_readme, write_report
from benchmarks.rounds import Plan

BUDGET = {
    "echo": 75,
    "strategies": 50,
    "lines": 35,
    "udp": 40,
    "wsgi": 20,
    "rpyc": 25,
    "large": 30,
    "waiting": 25,
    "cpu": 50,
    "uneven": 75,
    "scoreboard": 10,
    "growth": 90,
    "heap": 65,
    "fairness": 10,
    "loss": 10,
    "spare": 45,
    "recycling": 15,
    "memory": 110,
}
"""The measurements, each a module of this name, and the seconds that one takes."""

APART = {"simulator": 410, "sizing": 190, "tune": 570}
"""Those that are made only if they are named: they would not fit into the quarter of an hour."""

ALL = BUDGET | APART

MOST_SECONDS = 15 * 60


class NoSuchMeasurement(ValueError):
    """A name that is none of a measurement; the message says which are."""


@dataclass(frozen=True)
class Measurement:
    """One of those that can be asked for by name."""

    name: str
    measure: Callable[[Plan], Outcome]
    plan: Plan

    @classmethod
    def named(cls, name: str) -> Measurement:
        if name not in ALL:
            near = difflib.get_close_matches(name, ALL, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(ALL)}."
            raise NoSuchMeasurement(f"There is no measurement {name!r}; {hint}")
        module = importlib.import_module(f"benchmarks.{name}")
        return cls(name, module.measure, module.PLAN)


app = App(
    name="python -m benchmarks",
    version_flags=[],
    help="Measure what a request costs, against other servers. The exit code is 1 if a target is "
    "not reached, 2 if something could not be measured. The measurements: "
    f"{', '.join(BUDGET)}; and, if they are named, {', '.join(APART)}.",
)


@app.default
def run(
    *names: str,
    rounds: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
) -> int:
    """Measure; then write the report and the plots.

    Parameters
    ----------
    names
        Which measurements; all that are measured together if none is named.
    rounds
        Rounds for each server; each measurement has a number of its own.
    seconds
        How long a round is.
    """
    began = time.monotonic()
    wanted = [Measurement.named(name) for name in names or BUDGET]
    total = sum(ALL[each.name] for each in wanted)
    codes = []
    with bar.shown(total):
        for each in wanted:
            plan = replace(
                each.plan,
                rounds=rounds or each.plan.rounds,
                seconds=seconds or each.plan.seconds,
            )
            codes.append(measured(each, plan, ALL[each.name] / total))
    report()
    took = time.monotonic() - began
    console.print(f"That took {in_minutes(took)}.")
    if took > MOST_SECONDS:
        console.print(f"It should take {in_minutes(MOST_SECONDS)} at most.")
    return max(codes)


def measured(each: Measurement, plan: Plan, share: float) -> int:
    """Measure, show and keep what came of it: 0, 1 if a target is not reached, 2 if there is
    nothing; `share` is its part of the bar."""
    began = time.monotonic()
    try:
        with bar.part(share):
            bar.at(0, each.name)
            outcome = each.measure(plan)
    except (BuildError, LoadFailed, ServerFailed) as error:
        # The others can be measured nevertheless.
        console.print(f"\n{each.name} was not measured: {error}", markup=False)
        return 2
    outcome.show(each.name)
    outcome.save(each.name)
    console.print(f"It took {time.monotonic() - began:.0f} s of {ALL[each.name]} expected.")
    return 0 if outcome.reached else 1


def in_minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


@app.command
def report(*, readme: bool = False) -> int:
    """Write the report and the plots anew, from the results that are there.

    Parameters
    ----------
    readme
        Write the table of README.md too, between its two marks.
    """
    plots = plot_all(ALL)
    written = [*plots, write_report(ALL, plots)]
    if readme:
        written.append(write_readme(ALL))
    names = ", ".join(str(file.relative_to(ROOT)) for file in written)
    console.print(f"Written: {names}.", soft_wrap=True)
    return 0


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(app())
    except (NoPlace, NoSuchMeasurement) as error:
        console.print(str(error), markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
