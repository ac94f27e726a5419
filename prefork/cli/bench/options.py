"""The options of `prefork bench`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from prefork.cli import values
from prefork.cli.bench.candidates import STRATEGIES
from prefork.cli.bench.parsing import strategies_of
from prefork.cli.measuring.options import SECONDS, LoadOptions
from prefork.cli.measuring.parsing import counts_of, option


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BenchOptions(LoadOptions):
    """All options; what to serve is a separate argument."""

    strategies: Annotated[tuple[str, ...], option(strategies_of, "NAME,NAME,...")] = tuple(
        STRATEGIES
    )
    """The strategies to compare: any of accept, accept-lifo, handoff, reuseport, fork and
    fork-ahead. Default: all of them."""

    max_children: Annotated[tuple[int, ...] | None, option(counts_of, "NUMBER,NUMBER,...")] = None
    """The numbers of workers to compare. Default: from 1 to four times the cores that this process
    may use."""

    clients: Annotated[int | None, values.COUNT] = None
    """Concurrent requests. Default: the largest number of workers, and at least two per core."""

    seconds: Annotated[float, SECONDS] = 45.0
    """Seconds for all trials together, plus the time to start the servers. Default: 45."""
