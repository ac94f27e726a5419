"""The results as they lie in `results/`: what report and plots are made of.

A measurement that was asked for alone renews its own file only, so each has a date of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.output import RESULTS
from prefork.loadtest.machine import Machine


@dataclass(frozen=True)
class Figure:
    """The median of a series and its middle half."""

    median: float
    low: float
    high: float

    def __mul__(self, factor: float) -> Figure:
        return Figure(self.median * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Result:
    """One measurement's file."""

    content: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.content["measurement"])

    @property
    def date(self) -> str:
        return str(self.content["date"])

    @property
    def machine(self) -> Machine:
        return Machine(**self.content["machine"])

    @property
    def servers(self) -> list[str]:
        return list(self.content["medians"])

    def figure(self, server: str, name: str) -> Figure:
        """A figure of a server: seconds, microseconds for latencies."""
        return Figure(*self.content["medians"][server][name])


Results = dict[str, Result]


def stored(names: Iterable[str]) -> Results:
    """The results that there are, in the order of `names`."""
    files = {name: RESULTS / f"{name}.json" for name in names}
    return {
        name: Result(json.loads(file.read_text())) for name, file in files.items() if file.exists()
    }


@dataclass(frozen=True)
class Standing:
    """One server in the comparison of all: what an echo costs it."""

    server: str
    ours: bool
    cost: Figure
    """CPU seconds of a request."""
    p50: Figure
    p99: Figure
    """Microseconds."""


OURS = "prefork"
"""How the names of our servers begin where there are others."""

ASIDE = ("stdlib path looped", "C with shutdown()")
"""What is measured with an echo to explain another server's figures, and is not for use."""


def is_ours(server: str) -> bool:
    return server.startswith(OURS) or server.endswith(f" on {OURS}")


def standings(results: Results) -> list[Standing]:
    """Every server that was measured with an echo, the cheapest first."""
    found = {}
    if (echo := results.get("echo")) is not None:
        for server in echo.servers:
            if server not in ASIDE:
                found[server] = standing(echo, server, server)
    if (strategies := results.get("strategies")) is not None:
        found.pop(OURS, None)  # which is one of the strategies
        for strategy in strategies.servers:
            server = f"{OURS}, {strategy}"
            found[server] = standing(strategies, strategy, server)
    return sorted(found.values(), key=lambda one: one.cost.median)


def standing(result: Result, server: str, name: str) -> Standing:
    cost, p50, p99 = (result.figure(server, figure) for figure in ("cost", "p50", "p99"))
    return Standing(name, is_ours(name), cost, p50, p99)
