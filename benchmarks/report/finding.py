"""The outcome of a measurement: a table, a verdict on each goal, and all figures behind them."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.harness.rounds import QUIET, Rounds, Spread, Trial
from benchmarks.report.goals import Goal
from prefork.loadtest.machine import Machine

MEDIANS = ("cost", "cores", "rate", "p50", "p99", "p999")
"""The figures of a trial whose medians are stored."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one measurement. Strings may contain rich's markup."""

    question: str
    rounds: Rounds
    table: Table
    goals: list[Goal]
    remarks: list[str] = field(default_factory=list)
    """Remarks of the measurement; `all_remarks` adds those about the trials."""
    figures: dict[str, Any] = field(default_factory=dict)
    """The figures that were measured in addition to the trials."""

    @property
    def all_met(self) -> bool:
        return all(goal.is_met for goal in self.goals)

    @property
    def all_remarks(self) -> list[str]:
        return [*self.remarks, *_remarks_on(self.rounds)]

    def content(self, name: str) -> dict[str, Any]:
        """Return everything as it is stored in JSON: the sentences, and the figures behind them."""
        return {
            "measurement": name,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": asdict(Machine.here()),
            "question": self.question,
            "table": plain(self.table),
            "goals": [{"sentence": str(goal), "verdict": goal.verdict} for goal in self.goals],
            "remarks": [Text.from_markup(remark).plain for remark in self.all_remarks],
            "medians": {name: medians(series) for name, series in self.rounds.items()},
            **compact(self.rounds),
            **self.figures,
        }


def plain(table: Table) -> dict[str, Any]:
    """Return a table as strings: titles, whether each column is flush right, rows, and caption."""
    columns = [list(map(_plain, column.cells)) for column in table.columns]
    return {
        "columns": [_plain(column.header) for column in table.columns],
        "right": [column.justify == "right" for column in table.columns],
        "rows": list(zip(*columns, strict=True)),
        "caption": _plain(table.caption or ""),
    }


def medians(series: list[Trial]) -> dict[str, tuple[float, float, float]]:
    """Return the median of each figure, and the bounds of its middle half."""
    spreads = {name: Spread.of(getattr(one, name) for one in series) for name in MEDIANS}
    return {name: _short((s.median, s.low, s.high)) for name, s in spreads.items()}


def compact(rounds: Rounds) -> dict[str, Any]:
    """Return every trial as a row of figures, so that others can be computed from them later."""
    if not rounds:
        return {}
    first = next(iter(rounds.values()))[0]
    return {
        "fields of a trial": [each.name for each in fields(first)],
        **{
            f"rounds of {name}": [_short(astuple(one)) for one in series]
            for name, series in rounds.items()
        },
    }


def _plain(text: Any) -> str:
    return text.plain if isinstance(text, Text) else Text.from_markup(str(text)).plain


def _short(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Round floats to six digits: no clock here is more precise."""
    return tuple(float(f"{v:.6g}") if isinstance(v, float) else v for v in values)


def _remarks_on(rounds: Rounds) -> list[str]:
    """Return remarks on conditions that make the figures less reliable."""
    everything = [one for series in rounds.values() for one in series]
    if not everything:
        return []
    remarks = []
    if errors := sum(one.errors for one in everything):
        remarks.append(f"[red]{errors} requests failed[/red]: the figures are unreliable.")
    others = sum(one.others for one in everything) / len(everything)
    if others > QUIET:
        remarks.append(f"Other work used {others:.2f} cores during the rounds and disturbed them.")
    return remarks
