"""Whether `prefork tune` recommends a number of workers that serves as much as any other number.

The same command also measures an exhaustive list of numbers. Among many equally good ones, the best
of such a sweep is the luckiest. It is therefore measured again, in alternation with the recommended
number; only these trials are compared.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.calibration import loops_for
from benchmarks.harness.competitors import ServerFailed
from benchmarks.harness.paths import ROOT
from benchmarks.harness.progress import bar
from benchmarks.harness.rounds import Plan
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import listing
from benchmarks.servers.tune_handlers import LOOPS
from prefork.advice.noise import Estimate
from prefork.loadtest.machine import BUSY

HANDLERS = {
    "Computes": (1, 2, 3, 4, 5, 6, 8),
    "Waits": (40, 60, 80, 100, 120, 140, 160, 190, 220, 250, 300, 360),
    "DoesBoth": (2, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20),
}
"""The handlers of servers/tune_handlers.py, and the numbers of workers of the exhaustive sweep."""
LEAST_SHARE = 0.95
MOST_SECONDS = 90.0
PLAN = Plan(rounds=1, seconds=60, clients=0)


@dataclass(frozen=True)
class TuneComparison:
    """The recommended number of workers beside the best one, for one handler."""

    name: str
    took: float
    """Seconds that the whole command took."""
    recommended: int
    best: int
    """The best number of the exhaustive sweep."""
    share: float
    """The rate of the recommended number, as a share of the best number's."""
    error: float
    """The standard error of `share`."""
    law: tuple[str, str, str]
    """Sigma, kappa and R² of the fitted curve."""
    others: float
    """Percentage of the machine that other work used during the command."""


def measure(plan: Plan = PLAN) -> Finding:
    """Compare the numbers for each handler; `plan.seconds` is the `--seconds` of the command."""
    found = []
    os.environ[LOOPS] = str(loops_for(0.001))
    for name, numbers in HANDLERS.items():
        with bar.part(1 / len(HANDLERS)):
            bar.at(0, name)
            found.append(compare(name, numbers, plan.seconds))
            bar.at(1)
    return Finding(
        question=f"is what `prefork tune` recommends within {plan.seconds:g} s as good as the best "
        "of an exhaustive sweep?",
        rounds={},
        table=listing(
            (
                "handler",
                "recommended",
                "best",
                "share of its rate",
                "seconds",
                "sigma",
                "kappa",
                "R²",
            ),
            (
                (
                    one.name,
                    str(one.recommended),
                    str(one.best),
                    f"{one.share:.3f} ±{one.error:.3f}",
                    f"{one.took:.0f}",
                    *one.law,
                )
                for one in found
            ),
            "Numbers of workers. Rates: medians of the undisturbed trials; ± is a standard error.",
        ),
        goals=[
            goal
            for one in found
            for goal in (
                Goal(
                    f"{one.name}: the recommended number serves {{:.3f}} of the best",
                    one.share,
                    one.error,
                    at_least=LEAST_SHARE,
                    valid=one.others <= BUSY,
                ),
                Goal(
                    f"{one.name}: the command ends after {{:.0f}} s",
                    one.took,
                    at_most=MOST_SECONDS,
                ),
            )
        ],
        figures={one.name: vars(one) for one in found},
    )


def compare(name: str, numbers: tuple[int, ...], seconds: float) -> TuneComparison:
    """Let the command recommend a number, sweep all, then compare it with the best one."""
    began = time.monotonic()
    advised = run(name, "--seconds", str(seconds))
    took = time.monotonic() - began
    recommended = int(advised["advice"]["max_children"])
    bar.at(0.33)
    swept = rates_of(run(name, "--seconds", str(seconds), "--max-children", listed(numbers)))
    best = max(swept, key=lambda workers: swept[workers].value)
    bar.at(0.67)
    both = listed({recommended, best})
    compared = run(name, "--seconds", str(seconds), "--max-children", both)
    rates = rates_of(compared)
    one, highest = rates[recommended], rates[best]
    share = one.value / highest.value
    error = share * math.hypot(one.error / one.value, highest.error / highest.value)
    others = max(advised["others_percent"], compared["others_percent"])
    return TuneComparison(
        name,
        took,
        recommended,
        best,
        share,
        0.0 if one is highest else error,
        law_of(advised),
        others,
    )


def listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def rates_of(record: dict[str, Any]) -> dict[int, Estimate]:
    """Return what was measured, by the number of workers."""
    return {size["workers"]: Estimate(**size["summary"]["rate"]) for size in record["sizes"]}


def law_of(record: dict[str, Any]) -> tuple[str, str, str]:
    """Return sigma, kappa and R² as text. Values too small to matter are written as 0."""
    if (fit := record["law"]) is None:
        return "-", "-", "-"
    sigma, kappa = round(fit["law"]["sigma"], 5), round(fit["law"]["kappa"], 8)
    return f"{sigma:.2g}", f"{kappa:.2g}", f"{fit['r2']:.3f}"


def run(name: str, *flags: str) -> dict[str, Any]:
    """Run the command, and return its JSON. Errors: `ServerFailed`."""
    with tempfile.TemporaryDirectory() as folder:
        target = f"benchmarks.servers.tune_handlers:{name}"
        words = ["tune", target, "--request", r"x\n", "--output", folder]
        done = subprocess.run(
            [sys.executable, "-m", "prefork", *words, *flags],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"prefork tune failed: {done.stdout}{done.stderr}")
        record: dict[str, Any] = json.loads((Path(folder) / "prefork-tune.json").read_text())
        return record
