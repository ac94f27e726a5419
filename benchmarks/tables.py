"""The tables: the one of servers that all measurements under load share, and any other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.rounds import Round, Rounds, Spread, ratios


@dataclass(frozen=True)
class Column:
    """A figure of a round, shown as the median of all; with `spread`, how far off they were."""

    title: str
    of: Callable[[Round], float]
    form: str
    spread: bool = False

    def cell(self, series: list[Round]) -> str:
        return show(Spread.of(map(self.of, series)), self.form, self.spread)


COST = Column("CPU µs", lambda one: one.cost * 1e6, ".1f", spread=True)
YIELD = Column("served/CPU s", lambda one: 1 / one.cost, ",.0f", spread=True)
RATE = Column("served/s", lambda one: one.rate, ",.0f", spread=True)
PLAIN_RATE = Column("served/s", lambda one: one.rate, ",.0f")
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
    """A row for each server; the last column is `against` as a multiple of the reference's."""
    table = Table(caption=f"Medians, ± half the middle half.\nRatio: to {reference}.")
    table.add_column("server", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    for name, series in rounds.items():
        ratio = show(ratios(rounds, name, reference, against.of), ".2f", with_spread=True)
        table.add_row(name, *(column.cell(series) for column in columns), ratio)
    return table


def listing(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Table:
    """A table of any rows; names to the left, figures to the right."""
    table = Table(caption=caption)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def show(spread: Spread, form: str, with_spread: bool) -> str:
    """The median in the format `form`, and how far off the rounds were if asked for."""
    return f"{spread.median:{form}}" + (f" ±{spread.relative:.0%}" if with_spread else "")
