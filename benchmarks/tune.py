"""Whether `prefork tune` recommends what serves as much as any number of workers.

Beside it, the same command is told to measure every number of a list that leaves nothing out. Of
many numbers that are equally good the luckiest is the best of such a sweep, so it is measured once
more, in turns with the one that was recommended; only that is compared.
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

from benchmarks.build import ROOT
from benchmarks.contenders import ServerFailed
from benchmarks.cpu import loops_for
from benchmarks.output import Outcome, Target
from benchmarks.progress import bar
from benchmarks.rounds import Plan
from benchmarks.tables import listing
from benchmarks.tuned import LOOPS
from prefork.advice.recommendation import Point
from prefork.cli.tune.record import NO_COHERENCE, NO_CONTENTION, lost
from prefork.loadtest.machine import BUSY
from prefork.loadtest.trials import Estimate

HANDLERS = {
    "Computes": (1, 2, 3, 4, 5, 6, 8),
    "Waits": (40, 60, 80, 100, 120, 140, 160, 190, 220, 250, 300, 360),
    "DoesBoth": (2, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20),
}
"""The handlers of tuned.py, and the numbers of workers of the exhaustive sweep."""
LEAST_SHARE = 0.95
MOST_SECONDS = 90.0
PLAN = Plan(rounds=1, seconds=60, clients=0)


@dataclass(frozen=True)
class Tuned:
    """What came of one handler."""

    name: str
    took: float
    """Seconds of the whole command."""
    recommended: int
    best: int
    """Of the exhaustive sweep."""
    share: float
    """What the recommended number served of what the best one did."""
    error: float
    """The standard error of that."""
    law: tuple[str, str, str]
    """Sigma, kappa and R² of what was fitted."""
    others: float
    """Percent of the machine that others took meanwhile."""


def measure(plan: Plan = PLAN) -> Outcome:
    """`plan.seconds` is what each run of the command is told."""
    found = []
    os.environ[LOOPS] = str(loops_for(0.001))
    for name, numbers in HANDLERS.items():
        with bar.part(1 / len(HANDLERS)):
            bar.at(0, name)
            found.append(tuned(name, numbers, plan.seconds))
            bar.at(1)
    return Outcome(
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
            "Workers; rates are medians of the turns that others did not disturb, ± is a standard "
            "error.",
        ),
        targets=[
            target
            for one in found
            for target in (
                Target(
                    f"{one.name}: the recommended number serves {{:.3f}} of the best",
                    one.share,
                    one.error,
                    at_least=LEAST_SHARE,
                    valid=one.others <= BUSY,
                ),
                Target(f"{one.name}: it ends after {{:.0f}} s", one.took, at_most=MOST_SECONDS),
            )
        ],
        figures={one.name: vars(one) for one in found},
    )


def tuned(name: str, numbers: tuple[int, ...], seconds: float) -> Tuned:
    began = time.monotonic()
    advised = run(name, "--seconds", str(seconds))
    took = time.monotonic() - began
    recommended = int(advised["advice"]["max_children"])
    bar.at(0.33)
    swept = points_of(run(name, "--seconds", str(seconds), "--max-children", listed(numbers)))
    best = max(swept, key=lambda workers: swept[workers].rate)
    bar.at(0.67)
    both = listed({recommended, best})
    compared = run(name, "--seconds", str(seconds), "--max-children", both)
    points = points_of(compared)
    mine, highest = points[recommended], points[best]
    share = mine.rate / highest.rate
    error = share * math.hypot(mine.error / mine.rate, highest.error / highest.rate)
    others = max(advised["others_percent"], compared["others_percent"])
    return Tuned(
        name,
        took,
        recommended,
        best,
        share,
        0.0 if mine is highest else error,
        law_of(advised),
        others,
    )


def listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def points_of(said: dict[str, Any]) -> dict[int, Point]:
    """What was measured, by workers."""
    points = {}
    for size in said["sizes"]:
        rate = Estimate(**size["summary"]["rate"])
        error = rate.error(size["quiet_turns"])
        points[size["workers"]] = Point(size["workers"], rate.value, error)
    return points


def law_of(advised: dict[str, Any]) -> tuple[str, str, str]:
    if (fit := advised["law"]) is None:
        return "-", "-", "-"
    sigma, kappa = fit["law"]["sigma"], fit["law"]["kappa"]
    return lost(sigma, NO_CONTENTION), lost(kappa, NO_COHERENCE), f"{fit['r2']:.3f}"


def run(name: str, *flags: str) -> dict[str, Any]:
    """The figures of one run of the command. Errors: `ServerFailed`."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["tune", f"benchmarks.tuned:{name}", "--request", r"x\n", "--output", folder]
        done = subprocess.run(
            [sys.executable, "-m", "prefork", *words, *flags],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"prefork tune has failed: {done.stdout}{done.stderr}")
        said: dict[str, Any] = json.loads((Path(folder) / "prefork-tune.json").read_text())
        return said
