"""What a measurement says: a table, a sentence for each target, and a file for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine

if TYPE_CHECKING:
    from benchmarks.rounds import Rounds

RESULTS = Path(__file__).resolve().parent / "results"
QUIET = 0.1
"""Cores that others may take before the reader is told so."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


@dataclass(frozen=True)
class Target:
    """A figure and what it has to be. `sentence` has a place for the figure: `{:.2f}`."""

    sentence: str
    value: float
    margin: float
    """By how much the figure may be off."""
    at_most: float | None = None
    at_least: float | None = None
    valid: bool = True
    """Whether the conditions of the measurement were met; the figure says nothing otherwise."""

    @property
    def verdict(self) -> str:
        if not self.valid:
            return "[yellow]void[/yellow] "
        return "[green]PASS[/green] " if self.reached else "[red]short[/red]"

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
        return f"{figure}, give or take {self.margin:.2g} (wanted: {', '.join(bounds)})"


@dataclass(frozen=True)
class Outcome:
    """One finished measurement."""

    name: str
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

    def show(self) -> None:
        console.print(f"\n[bold]{self.name}[/bold]: {self.question}", soft_wrap=True)
        console.print(f"On {Machine.here()}.")
        console.print(self.table)
        for remark in self._all_remarks():
            console.print(remark, soft_wrap=True)
        for target in self.targets:
            console.print(f"{target.verdict} {target}", soft_wrap=True)

    def save(self) -> None:
        """Write `results/NAME.json`, over the last one."""
        RESULTS.mkdir(exist_ok=True)
        content = {
            "measurement": self.name,
            "machine": asdict(Machine.here()),
            "targets": [
                {"sentence": str(target), "reached": target.reached} for target in self.targets
            ],
            "remarks": self._all_remarks(),
            **_as_figures(self.rounds),
            **self.figures,
        }
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(content[key])}" for key in content)
        (RESULTS / f"{self.name}.json").write_text(f"{{\n{lines}\n}}\n")

    def _all_remarks(self) -> list[str]:
        return [*self.remarks, *_remarks_on(self.rounds)]


def _as_figures(rounds: Rounds) -> dict[str, Any]:
    """Every round as it was, so that other figures can be made of them later."""
    return {
        f"rounds of {name}": [
            {field: round(value, 6) for field, value in asdict(one).items()} for one in series
        ]
        for name, series in rounds.items()
    }


def _remarks_on(rounds: Rounds) -> list[str]:
    """What a reader must know before believing the figures."""
    everything = [one for series in rounds.values() for one in series]
    remarks = []
    if errors := sum(one.errors for one in everything):
        remarks.append(f"[red]{errors} requests failed[/red]; the figures mean little.")
    others = sum(one.others for one in everything) / len(everything)
    if others > QUIET:
        remarks.append(f"Other work took {others:.2f} cores meanwhile: the figures are disturbed.")
    return remarks
