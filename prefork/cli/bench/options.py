"""What can be said to `prefork bench`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from prefork.cli import values as reading
from prefork.cli.bench.cells import STRATEGIES
from prefork.cli.bench.words import strategies_of
from prefork.cli.measuring import parsing as words
from prefork.cli.measuring.options import SECONDS, LoadOptions


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BenchOptions(LoadOptions):
    """Everything beside what to serve."""

    strategies: Annotated[tuple[str, ...], words.option(strategies_of, "NAME,NAME,...")] = tuple(
        STRATEGIES
    )
    """Which to compare, of accept, accept-lifo, handoff, reuseport, fork, fork-ahead. Default: all
    of them."""

    max_children: Annotated[
        tuple[int, ...] | None, words.option(words.counts_of, "NUMBER,NUMBER,...")
    ] = None
    """Numbers of workers to compare. Default: from 1 to four times the cores that this process may
    use."""

    clients: Annotated[int | None, reading.COUNT] = None
    """Requests that are under way at a time. Default: as many as there are workers at most, and at
    least two for each core."""

    seconds: Annotated[float, SECONDS] = 45.0
    """For all measurements together; some more go by until all servers are up. Default: 45."""
