"""`prefork demo`: a preset of `prefork bench`."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

import prefork
from prefork.advice.phrasing import in_time
from prefork.cli.bench.command import measure_and_show
from prefork.cli.bench.options import BenchOptions
from prefork.cli.demo import highlight
from prefork.cli.measuring.session import attempt
from prefork.cli.outcomes import Exit
from prefork.cli.streams import outlive_readers
from prefork.readings.cores import usable_cores

TARGET = f"{highlight.__name__}:{highlight.Highlight.__name__}"
SECONDS = 20.0


def demo(seconds: float | None, cores: int | None) -> int:
    """Measure and print the results; return the exit code."""
    outlive_readers()
    console = Console()
    options = preset(seconds or SECONDS, cores or usable_cores())

    def command() -> Exit:
        console.print(introduction())
        return measure_and_show(console, TARGET, options)

    return attempt("demo", console, command)


def preset(seconds: float, cores: int) -> BenchOptions:
    """Return the options of the bench: strategy `accept` and the standard library's servers."""
    return BenchOptions(
        request=highlight.sample(),
        strategies=("accept",),
        max_children=tuple(worker_counts(cores)),
        clients=2 * cores,
        seconds=seconds,
        app_dir=Path(prefork.__file__).parents[1],
    )


def worker_counts(cores: int) -> list[int]:
    """Return 1, 2, 3, 4, then each number doubled, and finally the number of cores."""
    counts = [n for n in (1, 2, 3, 4) if n <= cores]
    while counts[-1] * 2 <= cores:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == cores else [*counts, cores]


def introduction() -> str:
    """Return a sentence about what the handler does and what one request costs here."""
    source = highlight.sample()
    began = time.process_time()
    highlight.as_html(source)
    cost = time.process_time() - began
    lines = source.count(b"\n")
    return (
        f"Each request turns {lines} lines of Python into HTML with Pygments, using "
        f"{in_time(cost)} of CPU."
    )
