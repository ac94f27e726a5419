"""The tables: one of servers, for all measurements under load, and one of any rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.harness.rounds import Rounds, Spread, Trial, ratios

CAPTION = "Medians; ± is half the width of the middle half."


@dataclass(frozen=True)
class Column:
    """A figure of a trial, shown as the median of all trials; with `spread`, also how far the
    trials differ."""

    title: str
    of: Callable[[Trial], float]
    form: str
    spread: bool = False

    def cell(self, series: list[Trial]) -> str:
        return show(Spread.of(map(self.of, series)), self.form, self.spread)


COST = Column("CPU µs", lambda one: one.cost * 1e6, ".1f", spread=True)
YIELD = Column("req/CPU s", lambda one: 1 / one.cost, ",.0f", spread=True)
RATE = Column("req/s", lambda one: one.rate, ",.0f", spread=True)
PLAIN_RATE = Column("req/s", lambda one: one.rate, ",.0f")
CORES = Column("cores", lambda one: one.cores, ".3f")
LATENCIES = (
    Column("p50 ms", lambda one: one.p50 / 1e3, ".2f"),
    Column("p99 ms", lambda one: one.p99 / 1e3, ".2f"),
    Column("p99.9 ms", lambda one: one.p999 / 1e3, ".2f"),
)
COSTS = (COST, PLAIN_RATE, *LATENCIES)


def servers(
    rounds: Rounds, reference: str, columns: Sequence[Column] = COSTS, against: Column = COST
) -> Table:
    """Return a table with a row for each server. The last column is the figure `against` as a
    multiple of the reference's."""
    table = Table(caption=f"{CAPTION}\nRatio: to {reference}.")
    table.add_column("server", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    for name, series in rounds.items():
        ratio = show(ratios(rounds, name, reference, against.of), ".2f", with_spread=True)
        table.add_row(name, *(column.cell(series) for column in columns), ratio)
    return table


def listing(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Table:
    """Return a table of any rows: the first column flush left, all others flush right."""
    table = Table(caption=caption)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def show(spread: Spread, form: str, with_spread: bool) -> str:
    """Format the median with `form`; with `with_spread`, also how far the trials differ."""
    return f"{spread.median:{form}}" + (f" ±{spread.relative:.0%}" if with_spread else "")
