"""Shows a finding in the terminal."""

from __future__ import annotations

from benchmarks.harness.console import console
from benchmarks.report.finding import Finding
from benchmarks.report.goals import MET, MISSED, VOID
from prefork.loadtest.machine import Machine

COLOURS = {MET: "green", MISSED: "red", VOID: "yellow"}


def show_finding(name: str, finding: Finding) -> None:
    console.print(f"\n[bold]{name}[/bold]: {finding.question}", soft_wrap=True)
    console.print(f"On {Machine.here()}.")
    console.print(finding.table)
    for remark in finding.all_remarks:
        console.print(remark, soft_wrap=True)
    for goal in finding.goals:
        verdict = f"[{COLOURS[goal.verdict]}]{goal.verdict:<6}[/]"
        console.print(f"{verdict} {goal}", soft_wrap=True)
