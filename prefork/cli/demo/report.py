"""What the demo shows at its end: a table, a chart, a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefork.cli.charts import bars
from prefork.cli.demo.steps import Result

COLOURS = {"PreforkTCPServer": "green", "ForkingTCPServer": "yellow", "ThreadingTCPServer": "red"}


def show(console: Console, results: Sequence[Result]) -> None:
    console.print(table(results))
    console.print()
    console.print(chart("requests per second", results, lambda r: r.rate, console))
    console.print()
    console.print(chart("milliseconds, p99", results, lambda r: r.p99, console))
    console.print()
    console.print(sentence(results))


def table(results: Sequence[Result]) -> Table:
    shown = Table(title="Throughput and latency", title_justify="left")
    shown.add_column("server")
    for heading in ("requests/s", "times the first", "p50 ms", "p99 ms", "failed"):
        shown.add_column(heading, justify="right")
    for result in results:
        times = f"{result.rate / results[0].rate:.2f}" if results[0].rate else "-"
        figures = (f"{result.rate:.1f}", times, f"{result.p50:.1f}", f"{result.p99:.1f}")
        shown.add_row(Text(result.step.title, colour(result)), *figures, str(result.failures))
    return shown


def chart(
    title: str, results: Sequence[Result], figure: Callable[[Result], float], console: Console
) -> Table:
    """A bar for each result, the longest for the largest figure."""
    figures = [(r.step.title, colour(r), figure(r), f"{figure(r):.1f}") for r in results]
    return bars(title, figures, console)


def colour(result: Result) -> str:
    return COLOURS.get(result.step.kind, "default")


def sentence(results: Sequence[Result]) -> str:
    """What is seen, in words; nothing that the figures do not say."""
    pools = [result for result in results if result.step.workers]
    most = pools[-1]
    parts = []
    if len(pools) > 1 and pools[0].rate:
        parts.append(f"{times(most, pools[0])} times as many requests as with one")
    for other in results:
        if not other.step.workers and other.rate:
            parts.append(f"{times(most, other)} times as many as {other.step.kind}")
    if not parts:
        return "Too little was served to compare; give it more --seconds."
    workers = "1 worker" if most.step.workers == 1 else f"{most.step.workers} workers"
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]]) if parts[1:] else parts[0]
    return f"With {workers} the pool serves {listed}."


def times(one: Result, other: Result) -> str:
    return f"{one.rate / other.rate:.2f}"
