"""The command line: `python -m benchmarks` for all, `python -m benchmarks echo lines` for some.

A run of all measurements ends within a quarter of an hour: the seconds below, measured on two
cores, are its budget.
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

from benchmarks.harness.build import BuildError
from benchmarks.harness.competitors import ServerFailed
from benchmarks.harness.console import console
from benchmarks.harness.load_generator import LoadFailed
from benchmarks.harness.paths import ROOT
from benchmarks.harness.progress import bar
from benchmarks.harness.rounds import Plan
from benchmarks.report.finding import Finding
from benchmarks.report.markdown import ReadmeError, write_readme, write_report
from benchmarks.report.plots import plot_all
from benchmarks.report.results import store
from benchmarks.report.terminal import show_finding

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
    "fork_ahead": 45,
    "recycling": 15,
    "memory": 110,
}
"""The measurements that run by default, and the seconds that each takes. Each is a module of
`measurements/` with that name."""

APART = {"simulator": 410, "sizing": 190, "tune": 570}
"""Measurements that run only when they are named, because they do not fit into a quarter of an
hour, and the seconds that each takes."""

ALL = BUDGET | APART

MOST_SECONDS = 15 * 60


class UnknownMeasurement(ValueError):
    """No measurement has this name; the message suggests one or lists all."""


@dataclass(frozen=True)
class Measurement:
    """A measurement, looked up by its name."""

    name: str
    measure: Callable[[Plan], Finding]
    plan: Plan

    @classmethod
    def named(cls, name: str) -> Measurement:
        """Return the measurement with this name. Errors: `UnknownMeasurement`."""
        if name not in ALL:
            near = difflib.get_close_matches(name, ALL, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"the measurements are {', '.join(ALL)}."
            )
            raise UnknownMeasurement(f"unknown measurement {name!r}; {hint}")
        module = importlib.import_module(f"benchmarks.measurements.{name}")
        return cls(name, module.measure, module.PLAN)


app = App(
    name="python -m benchmarks",
    version_flags=[],
    help="Measure what a request costs, compared with other servers. The exit code is 1 if a goal "
    "is missed, and 2 if a measurement failed. Measurements: "
    f"{', '.join(BUDGET)}; and, only when they are named, {', '.join(APART)}.",
)


@app.default
def run(
    *names: str,
    rounds: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
) -> int:
    """Run measurements, then write the report and the plots.

    Parameters
    ----------
    names
        The measurements to run; by default those with a budget in the quarter of an hour.
    rounds
        Trials of each server; by default the number of each measurement.
    seconds
        Length of a trial; by default that of each measurement.
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
    console.print(f"The run took {in_minutes(took)}.")
    if took > MOST_SECONDS:
        console.print(f"It should take {in_minutes(MOST_SECONDS)} at most.")
    return max(codes)


def measured(each: Measurement, plan: Plan, share: float) -> int:
    """Run one measurement, then show and store its finding. `share` is its share of the
    progress bar.

    Return 0, 1 if a goal is missed, or 2 if the measurement failed; the others run anyway.
    """
    began = time.monotonic()
    try:
        with bar.part(share):
            bar.at(0, each.name)
            finding = each.measure(plan)
    except (BuildError, LoadFailed, ServerFailed) as error:
        console.print(f"\nMeasurement {each.name!r} failed: {error}", markup=False)
        return 2
    show_finding(each.name, finding)
    store(each.name, finding)
    console.print(f"It took {time.monotonic() - began:.0f} s of the expected {ALL[each.name]} s.")
    return 0 if finding.all_met else 1


def in_minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


@app.command
def report(*, readme: bool = False) -> int:
    """Write the report and the plots from the stored results.

    Parameters
    ----------
    readme
        Also write the table of README.md, between its two markers.
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
    except (ReadmeError, UnknownMeasurement) as error:
        console.print(str(error), markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
