"""The report on all measurements, and the table in README.md, both in Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.paths import RESULTS, ROOT
from benchmarks.report.goals import MET, MISSED, VOID
from benchmarks.report.results import MeasurementResult, Results, echo_costs, stored

README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
VERDICTS = {MET: "met", MISSED: "**missed**", VOID: "void"}


class ReadmeError(RuntimeError):
    """The table of README.md cannot be written; the message states what is missing."""


def write_report(names: Iterable[str], plots: Iterable[Path]) -> Path:
    """Write `results/report.md` from the stored results."""
    file = RESULTS / "report.md"
    file.write_text(report(stored(names), [plot.name for plot in plots]))
    return file


def report(results: Results, plots: Sequence[str]) -> str:
    """Return the report: the verdicts first, then a section for each measurement."""
    of_one = {plot for plot in plots if plot.removesuffix(".png") in results}
    parts = [
        "# Benchmarks",
        "Written by `make bench`. Figures are medians of trials in which the servers alternate.",
        table(("measurement", "goal", "verdict"), (False, False, False), verdicts(results)),
        *(image(plot) for plot in plots if plot not in of_one),
        *(section(result, of_one) for result in results.values()),
    ]
    return "\n\n".join(parts) + "\n"


def verdicts(results: Results) -> list[tuple[str, str, str]]:
    return [
        (result.name, goal["sentence"], VERDICTS[goal["verdict"]])
        for result in results.values()
        for goal in result.content["goals"]
    ]


def section(result: MeasurementResult, plots: Collection[str]) -> str:
    """Return one measurement: question, date and machine, table, goals, remarks, and plot."""
    content = result.content
    parts = [
        f"## {result.name}",
        capitalized(content["question"]),
        f"{result.date}, on {result.machine}.",
        table(content["table"]["columns"], content["table"]["right"], content["table"]["rows"]),
        content["table"]["caption"].replace("\n", " "),
        "\n".join(f"- {VERDICTS[one['verdict']]}: {one['sentence']}" for one in content["goals"]),
        "\n\n".join(content["remarks"]),
        image(plot) if (plot := f"{result.name}.png") in plots else "",
    ]
    return "\n\n".join(part for part in parts if part)


def image(plot: str) -> str:
    return f"![{plot.removesuffix('.png')}]({plot})"


def table(columns: Sequence[str], right: Sequence[bool], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table. `right` tells which columns are flush right."""
    rules = ("---:" if flush_right else "---" for flush_right in right)
    lines = [columns, list(rules), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def write_readme(names: Iterable[str]) -> Path:
    """Replace the table of README.md, between its two markers.

    Errors: `ReadmeError` if a marker or the stored result of `echo` is missing.
    """
    README.write_text(between_markers(README.read_text(), readme_part(stored(names))))
    return README


def between_markers(text: str, part: str) -> str:
    """Return the text with `part` between its two markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ReadmeError(
            f"README.md is unchanged: the table must be between a line {BEGIN} and a line {END}."
        )
    return f"{before}{begin}\n{part}\n{end}{after}"


def readme_part(results: Results) -> str:
    """Return what README.md shows: date and machine, the main plot, each server's figures."""
    if (echo := results.get("echo")) is None:
        raise ReadmeError("README.md is unchanged: measurement 'echo' has no stored result.")
    found = echo_costs(results)
    cheapest = found[0].cost.median
    rows = [
        (
            f"**{one.server}**" if one.is_prefork else one.server,
            f"{one.cost.median * 1e6:,.0f}",
            f"{one.cost.median / cheapest:,.1f}",
            f"{1 / one.cost.median:,.0f}",
            f"{one.p50.median / 1e3:.2f}",
            f"{one.p99.median / 1e3:.2f}",
        )
        for one in found
    ]
    columns = ("server", "CPU µs", f"× {found[0].server}", "req/CPU s", "p50 ms", "p99 ms")
    return "\n\n".join(
        (
            f"{capitalized(echo.content['question'])} Measured {echo.date} by `make bench` "
            f"on {echo.machine}.",
            "![What a request costs](benchmarks/results/main.png)",
            table(columns, (False, *[True] * 5), rows),
            "All measurements: [the report](benchmarks/results/report.md).",
        )
    )
