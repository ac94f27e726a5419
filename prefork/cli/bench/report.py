"""Prints the results of `prefork bench`: a table, a chart and a sentence of advice."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefork.advice.phrasing import shown
from prefork.cli.bench.advice import winner
from prefork.cli.bench.candidates import CandidateResult
from prefork.cli.bench.record import BenchRecord
from prefork.cli.terminal_charts import bars, fitting

COLOURS = {
    "accept": "green",
    "accept-lifo": "bright_green",
    "handoff": "cyan",
    "reuseport": "blue",
    "fork": "yellow",
    "fork-ahead": "bright_yellow",
}
REFERENCE = "red"
CLIENTS_BUSY = 0.9
FIGURES = ("req/s", "±", "CPU ms", "p50 ms", "p99 ms", "failed")
SPARED = ("p50 ms", "±", "p99 ms", "failed", "CPU ms")
"""Columns that are left out on a narrow terminal, in this order."""


def show(console: Console, record: BenchRecord) -> None:
    made = functools.partial(table, record.results)
    console.print(fitting(made, FIGURES, SPARED, console))
    console.print(chart(record.results, console))
    console.print()
    for title, complaint in record.complaints[:1]:
        others = len(record.complaints) - 1
        also = f", and {others} other{'s' * (others > 1)}" if others else ""
        console.print(f"Requests failed: {title}{also}. The first failure:")
        console.print(complaint, markup=False, highlight=False, soft_wrap=True)
        console.print()
    if any(result.summary.clients_busy > CLIENTS_BUSY for result in record.results):
        console.print(
            "The clients used a whole core in some trials: there, the server's CPU per request is "
            "more meaningful than requests per second."
        )
    console.print(Text(record.advice, "bold"))


def table(results: Sequence[CandidateResult], figures: Sequence[str]) -> Table:
    """Return a line for each candidate, strategy by strategy; the one to use is highlighted."""
    best = winner(results)
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    made.add_column("strategy", no_wrap=True)
    for heading in ("workers", *figures):
        made.add_column(heading, justify="right", no_wrap=True)
    for strategy, alike in itertools.groupby(results, lambda result: result.candidate.strategy):
        for number, result in enumerate(alike):
            name = Text("" if number else strategy, colour(result))
            style = "bold reverse" if result is best else ""
            made.add_row(name, *cells(result, figures), style=style)
        if not result.candidate.is_reference:
            made.add_section()
    return made


def cells(result: CandidateResult, figures: Sequence[str]) -> list[str]:
    """Return the cells of a line, except the strategy."""
    summary = result.summary
    measured = (
        summary.rate.value,
        summary.rate.margin,
        summary.cpu.value,
        summary.p50,
        summary.p99,
    )
    texts = map(shown, measured) if summary.requests else ["-"] * len(measured)
    of_each = dict(zip(FIGURES, [*texts, str(summary.failures)], strict=True))
    return [str(result.candidate.workers or ""), *(of_each[figure] for figure in figures)]


def chart(results: Sequence[CandidateResult], console: Console) -> Table:
    """Return a bar for the requests per second of each candidate that had a trial."""
    widest = max(len(result.candidate.strategy) for result in results) + 3
    figures = [
        (
            label(result, widest),
            colour(result),
            result.summary.rate.value,
            shown(result.summary.rate.value),
        )
        for result in results
        if result.summary.requests
    ]
    return bars("requests per second", figures, console)


def label(result: CandidateResult, width: int) -> str:
    candidate = result.candidate
    return f"{candidate.strategy}{candidate.workers or '':>{width - len(candidate.strategy)}}"


def colour(result: CandidateResult) -> str:
    return COLOURS.get(result.candidate.strategy, REFERENCE)
