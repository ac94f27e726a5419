"""The stored results, `results/NAME.json`: the source of the report and the plots.

A measurement that runs alone replaces only its own file, so each file has its own date.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.paths import RESULTS
from benchmarks.harness.rounds import Spread
from benchmarks.report.finding import Finding
from prefork.loadtest.machine import Machine


@dataclass(frozen=True)
class MeasurementResult:
    """The file of one measurement."""

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

    def spread(self, server: str, figure: str) -> Spread:
        """Return a figure of a server, in seconds; latencies in microseconds."""
        median, low, high = self.content["medians"][server][figure]
        return Spread(median, low, high, len(self.content[f"rounds of {server}"]))


Results = dict[str, MeasurementResult]


def store(name: str, finding: Finding) -> None:
    """Write `results/NAME.json`, with a line for each part, in place of the previous result."""
    RESULTS.mkdir(exist_ok=True)
    content = finding.content(name)
    lines = ",\n".join(f" {_json(key)}: {_json(content[key])}" for key in content)
    (RESULTS / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")


def stored(names: Iterable[str]) -> Results:
    """Read the results that exist, in the order of `names`."""
    files = {name: RESULTS / f"{name}.json" for name in names}
    return {
        name: MeasurementResult(json.loads(file.read_text()))
        for name, file in files.items()
        if file.exists()
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class EchoCost:
    """One server in the comparison of all servers: what an echo costs it."""

    server: str
    is_prefork: bool
    cost: Spread
    """CPU seconds of a request."""
    p50: Spread
    p99: Spread
    """Microseconds."""


PREFORK = "prefork"
"""The prefix of the names of prefork's servers in a comparison with others."""

ASIDE = ("stdlib path looped", "C with shutdown()")
"""Servers that only explain another server's figures. They are not meant for use or comparison."""


def is_prefork(server: str) -> bool:
    return server.startswith(PREFORK) or server.endswith(f" on {PREFORK}")


def echo_costs(results: Results) -> list[EchoCost]:
    """Return all servers that were measured with an echo, the cheapest first."""
    found = {}
    if (echo := results.get("echo")) is not None:
        for server in echo.servers:
            if server not in ASIDE:
                found[server] = echo_cost(echo, server, server)
    if (strategies := results.get("strategies")) is not None:
        found.pop(PREFORK, None)  # it is one of the strategies
        for strategy in strategies.servers:
            server = f"{PREFORK}, {strategy}"
            found[server] = echo_cost(strategies, strategy, server)
    return sorted(found.values(), key=lambda one: one.cost.median)


def echo_cost(result: MeasurementResult, server: str, name: str) -> EchoCost:
    cost, p50, p99 = (result.spread(server, figure) for figure in ("cost", "p50", "p99"))
    return EchoCost(name, is_prefork(name), cost, p50, p99)
