"""What is shown at the end: a table, a chart, the advice with its reasons, a line to copy."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefork.advice.phrasing import counted, in_bytes, in_percent, shown
from prefork.advice.recommendation import FINE, MOSTLY, knee
from prefork.cli.charts import bars, fitting
from prefork.cli.tune.conclusions import Size, at_most
from prefork.cli.tune.record import Record
from prefork.loadtest.machine import BUSY

CLIENTS_COUNT = 0.1
"""The part of the cores from which on it matters what clients take of them."""
FIGURES = ("req/s", "±", "CPU ms", "p50 ms", "p99 ms", "memory each", "failed")
SPARED = ("memory each", "p50 ms", "±", "p99 ms", "failed", "CPU ms")
"""What a narrow terminal does without, the first ones first."""


def show(console: Console, record: Record) -> None:
    made = functools.partial(table, record)
    console.print(fitting(made, FIGURES, SPARED, console))
    console.print(chart(record, console))
    console.print()
    if record.complaint:
        console.print("Requests failed. The first of them:")
        console.print(record.complaint, markup=False, highlight=False, soft_wrap=True)
        console.print()
    if (found := record.found) is None:
        console.print(Text("There is nothing to recommend: requests failed everywhere.", "bold"))
        return
    for sentence in [*found.advice.reasons, record.queue, record.law, *doubts(record)]:
        console.print(f"- {sentence}", markup=False, highlight=False)
    console.print()
    console.print(Text(record.command, "bold"), soft_wrap=True)


def table(record: Record, figures: Sequence[str]) -> Table:
    """A line for each number of workers; the one to take is marked."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in ("workers", *figures):
        made.add_column(heading, justify="right", no_wrap=True)
    for size in record.sizes:
        style = "bold reverse" if is_taken(size, record) else ""
        made.add_row(str(size.workers), *words(size, figures), style=style)
    return made


def words(size: Size, figures: Sequence[str]) -> list[str]:
    summary = size.summary
    said = [
        shown(summary.rate.value),
        shown(summary.rate.margin) if size.quiet_turns > 1 else "-",
        *map(shown, (summary.cpu.value, summary.p50, summary.p99)),
        "-" if size.memory is None else in_bytes(size.memory),
        str(summary.failures),
    ]
    of_each = dict(zip(FIGURES, said, strict=True))
    return [of_each[figure] for figure in figures]


def chart(record: Record, console: Console) -> Table:
    """A bar for each number's requests per second; the one to take is green."""
    widest = max((len(str(size.workers)) for size in record.sizes), default=0)
    figures = [
        (
            f"{size.workers:>{widest}}",
            "green" if is_taken(size, record) else "blue",
            size.summary.rate.value,
            shown(size.summary.rate.value),
        )
        for size in record.sizes
    ]
    return bars("requests per second, by workers", figures, console)


def is_taken(size: Size, record: Record) -> bool:
    return record.found is not None and size.workers == record.found.advice.max_children


def doubts(record: Record) -> list[str]:
    """What stands against the figures."""
    assert record.found is not None
    said = []
    profile, place = record.found.profile, record.found.place
    best = at_most(record.found.best.workers, record.sizes)
    filled, clients = knee(profile, place), best.clients_cores
    used = (best.summary.rate.value * profile.cpu + clients) / place.cores
    more = any(size.workers > best.workers for size in record.sizes)
    if more and filled > FINE * best.workers and used < MOSTLY and record.others_percent <= BUSY:
        said.append(
            f"The cores were {in_percent(used)} busy meanwhile: what handlers wait for, such as a "
            "lock or a database, has no more to give."
        )
    elif (
        clients > CLIENTS_COUNT * place.cores
        and filled > best.workers
        and not record.wish.elsewhere
    ):
        said.append(
            f"The clients took {shown(clients)} of the {counted(place.cores, 'core')} meanwhile: "
            f"where they are on other machines, up to {counted(filled, 'worker')} have use for "
            "these cores."
        )
    if record.others_percent > BUSY:
        said.append(
            f"Something else took {record.others_percent:.0f} % of the machine: measure again when "
            "all is quiet."
        )
    return said
