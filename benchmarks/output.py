"""What a measurement says: a table, a sentence for each target, and a file for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, astuple, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefork.loadtest.machine import Machine

if TYPE_CHECKING:
    from benchmarks.rounds import Round, Rounds

RESULTS = Path(__file__).resolve().parent / "results"
QUIET = 0.1
"""Cores that others may take before the reader is told so."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


@dataclass(frozen=True)
class Target:
    """A figure and what it has to be. `sentence` has a place for the figure: `{:.2f}`."""

    sentence: str
    value: float
    margin: float = 0.0
    """By how much the figure may be off; 0 for what was counted."""
    at_most: float | None = None
    at_least: float | None = None
    valid: bool = True
    """Whether the conditions of the measurement were met; the figure says nothing otherwise."""

    @property
    def verdict(self) -> str:
        """`PASS`, `short`, or `void` where the figure says nothing."""
        if not self.valid:
            return "void"
        return "PASS" if self.reached else "short"

    @property
    def reached(self) -> bool:
        return (
            self.valid
            and (self.at_most is None or self.value <= self.at_most)
            and (self.at_least is None or self.value >= self.at_least)
        )

    def __str__(self) -> str:
        bounds = [
            f"at {which} {bound:g}"
            for which, bound in (("most", self.at_most), ("least", self.at_least))
            if bound is not None
        ]
        figure = self.sentence.format(self.value)
        margin = f", give or take {self.margin:.2g}" if self.margin else ""
        return f"{figure}{margin} (wanted: {', '.join(bounds)})"


COLOURS = {"PASS": "green", "short": "red", "void": "yellow"}


@dataclass(frozen=True)
class Outcome:
    """What a measurement has found out."""

    question: str
    rounds: Rounds
    table: Table
    targets: list[Target]
    remarks: list[str] = field(default_factory=list)
    """More than what the rounds themselves give rise to."""
    figures: dict[str, Any] = field(default_factory=dict)
    """What was measured beside the rounds."""

    @property
    def reached(self) -> bool:
        return all(target.reached for target in self.targets)

    def show(self, name: str) -> None:
        console.print(f"\n[bold]{name}[/bold]: {self.question}", soft_wrap=True)
        console.print(f"On {Machine.here()}.")
        console.print(self.table)
        for remark in self._all_remarks():
            console.print(remark, soft_wrap=True)
        for target in self.targets:
            verdict = f"[{COLOURS[target.verdict]}]{target.verdict:<5}[/]"
            console.print(f"{verdict} {target}", soft_wrap=True)

    def content(self, name: str) -> dict[str, Any]:
        """All that is said and what it was made of, as JSON has it."""
        return {
            "measurement": name,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": asdict(Machine.here()),
            "question": self.question,
            "table": plain(self.table),
            "targets": [
                {"sentence": str(target), "verdict": target.verdict} for target in self.targets
            ],
            "remarks": [Text.from_markup(remark).plain for remark in self._all_remarks()],
            "medians": {name: medians(series) for name, series in self.rounds.items()},
            **compact(self.rounds),
            **self.figures,
        }

    def save(self, name: str) -> None:
        """Write `results/NAME.json`, over the last one; a line for each part."""
        RESULTS.mkdir(exist_ok=True)
        content = self.content(name)
        lines = ",\n".join(f" {_json(key)}: {_json(content[key])}" for key in content)
        (RESULTS / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")

    def _all_remarks(self) -> list[str]:
        return [*self.remarks, *_remarks_on(self.rounds)]


def plain(table: Table) -> dict[str, Any]:
    """A table as texts: its columns' titles, which of them stand to the right, rows and caption."""
    columns = [list(map(_plain, column.cells)) for column in table.columns]
    return {
        "columns": [_plain(column.header) for column in table.columns],
        "right": [column.justify == "right" for column in table.columns],
        "rows": list(zip(*columns, strict=True)),
        "caption": _plain(table.caption or ""),
    }


def _plain(text: Any) -> str:
    return text.plain if isinstance(text, Text) else Text.from_markup(str(text)).plain


MEDIANS = ("cost", "cores", "rate", "p50", "p99", "p999")


def medians(series: list[Round]) -> dict[str, tuple[float, float, float]]:
    """The median of each figure, and the bounds of its middle half."""
    from benchmarks.rounds import Spread  # which needs this module

    spreads = {name: Spread.of(getattr(one, name) for one in series) for name in MEDIANS}
    return {name: _short((s.median, s.low, s.high)) for name, s in spreads.items()}


def compact(rounds: Rounds) -> dict[str, Any]:
    """Every round as it was, so that other figures can be made of them later."""
    if not rounds:
        return {}
    first = next(iter(rounds.values()))[0]
    return {
        "fields of a round": [each.name for each in fields(first)],
        **{
            f"rounds of {name}": [_short(astuple(one)) for one in series]
            for name, series in rounds.items()
        },
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Floats to six digits: no clock here knows more."""
    return tuple(float(f"{v:.6g}") if isinstance(v, float) else v for v in values)


def _remarks_on(rounds: Rounds) -> list[str]:
    """What a reader must know before believing the figures."""
    everything = [one for series in rounds.values() for one in series]
    if not everything:
        return []
    remarks = []
    if errors := sum(one.errors for one in everything):
        remarks.append(f"[red]{errors} requests failed[/red]; the figures mean little.")
    others = sum(one.others for one in everything) / len(everything)
    if others > QUIET:
        remarks.append(f"Other work took {others:.2f} cores meanwhile: the figures are disturbed.")
    return remarks
