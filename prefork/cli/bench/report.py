"""What the bench shows at its end: a table, a chart, a sentence."""

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
from prefork.cli.bench.record import Record
from prefork.cli.bench.results import Result
from prefork.cli.charts import bars, fitting

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
"""What a narrow terminal does without, the first ones first."""


def show(console: Console, record: Record) -> None:
    made = functools.partial(table, record.results)
    console.print(fitting(made, FIGURES, SPARED, console))
    console.print(chart(record.results, console))
    console.print()
    for title, complaint in record.complaints[:1]:
        others = len(record.complaints) - 1
        also = f", and {others} other{'s' * (others > 1)}" if others else ""
        console.print(f"Requests failed: {title}{also}. The first of them:")
        console.print(complaint, markup=False, highlight=False, soft_wrap=True)
        console.print()
    if any(result.clients_busy > CLIENTS_BUSY for result in record.results):
        console.print(
            "The clients used up a core of their own at times: there, the server's CPU per request "
            "says more than requests per second."
        )
    console.print(Text(record.advice, "bold"))


def table(results: Sequence[Result], figures: Sequence[str]) -> Table:
    """A line for each cell, strategy by strategy; the one to take is marked."""
    best = winner(results)
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    made.add_column("strategy", no_wrap=True)
    for heading in ("workers", *figures):
        made.add_column(heading, justify="right", no_wrap=True)
    for strategy, alike in itertools.groupby(results, lambda result: result.cell.strategy):
        for number, result in enumerate(alike):
            name = Text("" if number else strategy, colour(result))
            made.add_row(
                name, *words(result, figures), style="bold reverse" if result is best else ""
            )
        if not result.cell.is_reference:
            made.add_section()
    return made


def words(result: Result, figures: Sequence[str]) -> list[str]:
    values = (result.rate.value, result.rate.margin, result.cpu.value, result.p50, result.p99)
    said = map(shown, values) if result.requests else ["-"] * len(values)
    of_each = dict(zip(FIGURES, [*said, str(result.failures)], strict=True))
    return [str(result.cell.workers or ""), *(of_each[figure] for figure in figures)]


def chart(results: Sequence[Result], console: Console) -> Table:
    """A bar for each cell's requests per second, of those that had a turn."""
    widest = max(len(result.cell.strategy) for result in results) + 3
    figures = [
        (label(result, widest), colour(result), result.rate.value, shown(result.rate.value))
        for result in results
        if result.requests
    ]
    return bars("requests per second", figures, console)


def label(result: Result, width: int) -> str:
    cell = result.cell
    return f"{cell.strategy}{cell.workers or '':>{width - len(cell.strategy)}}"


def colour(result: Result) -> str:
    return COLOURS.get(result.cell.strategy, REFERENCE)
