"""The report on all measurements, and the table that README.md shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.build import ROOT
from benchmarks.output import RESULTS
from benchmarks.stored import Result, Results, standings, stored

README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
MARKS = {"PASS": "**PASS**", "short": "**short**", "void": "void"}


class NoPlace(RuntimeError):
    """README.md has no place for the table; the message says what is missing."""


def write_report(names: Iterable[str], plots: Iterable[Path]) -> Path:
    """Write `results/report.md`, from the results that there are."""
    file = RESULTS / "report.md"
    file.write_text(report(stored(names), [plot.name for plot in plots]))
    return file


def report(results: Results, plots: Sequence[str]) -> str:
    """All results in Markdown: the verdicts first, then a section for each measurement."""
    of_one = {plot for plot in plots if plot.removesuffix(".png") in results}
    parts = [
        "# Benchmarks",
        "Written by `make bench`: medians of rounds in which the servers take turns.",
        table(("measurement", "target", "verdict"), (False, False, False), verdicts(results)),
        *(image(plot) for plot in plots if plot not in of_one),
        *(section(result, of_one) for result in results.values()),
    ]
    return "\n\n".join(parts) + "\n"


def verdicts(results: Results) -> list[tuple[str, str, str]]:
    return [
        (result.name, target["sentence"], MARKS[target["verdict"]])
        for result in results.values()
        for target in result.content["targets"]
    ]


def section(result: Result, plots: Collection[str]) -> str:
    """One measurement: question, when and where, table, targets, remarks, and its plot."""
    content = result.content
    parts = [
        f"## {result.name}",
        capitalized(content["question"]),
        f"{result.date}, on {result.machine}.",
        table(content["table"]["columns"], content["table"]["right"], content["table"]["rows"]),
        content["table"]["caption"].replace("\n", " "),
        "\n".join(f"- {MARKS[one['verdict']]}: {one['sentence']}" for one in content["targets"]),
        "\n\n".join(content["remarks"]),
        image(plot) if (plot := f"{result.name}.png") in plots else "",
    ]
    return "\n\n".join(part for part in parts if part)


def image(plot: str) -> str:
    return f"![{plot.removesuffix('.png')}]({plot})"


def table(columns: Sequence[str], right: Sequence[bool], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown. `right` says which columns stand to the right."""
    rules = ("---:" if to_the_right else "---" for to_the_right in right)
    lines = [columns, list(rules), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def write_readme(names: Iterable[str]) -> Path:
    """Write the table of README.md anew, between its two marks.

    Errors: `NoPlace` without the marks, or without a result to show.
    """
    README.write_text(between_marks(README.read_text(), readme_part(stored(names))))
    return README


def between_marks(text: str, part: str) -> str:
    """The text with `part` between its two marks, instead of what was there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlace(f"README.md has no place for the table: a line {BEGIN} and one {END}.")
    return f"{before}{begin}\n{part}\n{end}{after}"


def readme_part(results: Results) -> str:
    """What README.md shows: where and when, every server's figures, the main plot."""
    if (echo := results.get("echo")) is None:
        raise NoPlace("There is no result of the measurement echo: README.md stays as it is.")
    found = standings(results)
    cheapest = found[0].cost.median
    rows = [
        (
            f"**{one.server}**" if one.ours else one.server,
            f"{one.cost.median * 1e6:,.0f}",
            f"{one.cost.median / cheapest:,.1f}",
            f"{1 / one.cost.median:,.0f}",
            f"{one.p50.median / 1e3:.2f}",
            f"{one.p99.median / 1e3:.2f}",
        )
        for one in found
    ]
    columns = ("server", "CPU µs", f"× {found[0].server}", "served/CPU s", "p50 ms", "p99 ms")
    return "\n\n".join(
        (
            f"{capitalized(echo.content['question'])} Measured {echo.date} by `make bench` "
            f"on {echo.machine}.",
            "![What a request costs](benchmarks/results/main.png)",
            table(columns, (False, *[True] * 5), rows),
            "All measurements: [the report](benchmarks/results/report.md).",
        )
    )
