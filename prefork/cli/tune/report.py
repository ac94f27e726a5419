"""Prints the results of `prefork tune`: a table, a chart, the advice with reasons, a command."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefork.advice.phrasing import counted, in_bytes, in_percent, shown
from prefork.advice.recommendation import FINE, MOSTLY, knee
from prefork.cli.terminal_charts import bars, fitting
from prefork.cli.tune.conclusions import Size, at_most
from prefork.cli.tune.record import TuneRecord
from prefork.loadtest.machine import BUSY

CLIENTS_COUNT = 0.1
"""The share of the cores above which their use by clients is mentioned."""
FIGURES = ("req/s", "±", "CPU ms", "p50 ms", "p99 ms", "memory each", "failed")
SPARED = ("memory each", "p50 ms", "±", "p99 ms", "failed", "CPU ms")
"""Columns that are left out on a narrow terminal, in this order."""


def show(console: Console, record: TuneRecord) -> None:
    made = functools.partial(table, record)
    console.print(fitting(made, FIGURES, SPARED, console))
    console.print(chart(record, console))
    console.print()
    if record.complaint:
        console.print("Requests failed. The first failure:")
        console.print(record.complaint, markup=False, highlight=False, soft_wrap=True)
        console.print()
    if (found := record.found) is None:
        text = "Nothing to recommend: requests failed with every number of workers."
        console.print(Text(text, "bold"))
        return
    for sentence in [*found.advice.reasons, record.queue, record.law, *doubts(record)]:
        console.print(f"- {sentence}", markup=False, highlight=False)
    console.print()
    console.print(Text(record.command, "bold"), soft_wrap=True)


def table(record: TuneRecord, figures: Sequence[str]) -> Table:
    """Return a line for each number of workers; the advised one is highlighted."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in ("workers", *figures):
        made.add_column(heading, justify="right", no_wrap=True)
    for size in record.sizes:
        style = "bold reverse" if is_advised(size, record) else ""
        made.add_row(str(size.workers), *cells(size, figures), style=style)
    return made


def cells(size: Size, figures: Sequence[str]) -> list[str]:
    """Return the cells of a line, except the number of workers."""
    summary = size.summary
    texts = [
        shown(summary.rate.value),
        shown(summary.rate.margin) if summary.rate.trials > 1 else "-",
        *map(shown, (summary.cpu.value, summary.p50, summary.p99)),
        "-" if size.memory is None else in_bytes(size.memory),
        str(summary.failures),
    ]
    of_each = dict(zip(FIGURES, texts, strict=True))
    return [of_each[figure] for figure in figures]


def chart(record: TuneRecord, console: Console) -> Table:
    """Return a bar for the requests per second of each number; the advised one is green."""
    widest = max((len(str(size.workers)) for size in record.sizes), default=0)
    figures = [
        (
            f"{size.workers:>{widest}}",
            "green" if is_advised(size, record) else "blue",
            size.summary.rate.value,
            shown(size.summary.rate.value),
        )
        for size in record.sizes
    ]
    return bars("requests per second, by workers", figures, console)


def is_advised(size: Size, record: TuneRecord) -> bool:
    return record.found is not None and size.workers == record.found.advice.max_children


def doubts(record: TuneRecord) -> list[str]:
    """Return sentences about what limits the figures."""
    assert record.found is not None
    sentences = []
    profile, resources = record.found.profile, record.found.resources
    best = at_most(record.found.best.workers, record.sizes)
    filled, clients = knee(profile, resources), best.clients_cores
    used = (best.summary.rate.value * profile.cpu + clients) / resources.cores
    more = any(size.workers > best.workers for size in record.sizes)
    if more and filled > FINE * best.workers and used < MOSTLY and record.others_percent <= BUSY:
        sentences.append(
            f"The cores were only {in_percent(used)} busy: the limit is what handlers wait for, "
            "such as a lock or a database."
        )
    elif (
        clients > CLIENTS_COUNT * resources.cores
        and filled > best.workers
        and not record.requirements.elsewhere
    ):
        sentences.append(
            f"The clients used {shown(clients)} of the {counted(resources.cores, 'core')}: with "
            f"clients on other machines, up to {counted(filled, 'worker')} can use these cores."
        )
    if record.others_percent > BUSY:
        sentences.append(
            f"Other programs used {record.others_percent:.0f} % of the CPU: measure again on a "
            "quiet machine."
        )
    return sentences
