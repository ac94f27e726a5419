"""The options of `prefork tune`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from prefork.cli import values
from prefork.cli.measuring.options import SECONDS, LoadOptions
from prefork.cli.measuring.parsing import option
from prefork.cli.tune.parsing import ANY, THROUGHPUT, Goal, Numbers, goal_of, memory_of, numbers_of
from prefork.settings import Range, Rule

RATE = values.by(Rule(float, range=Range(0, "requests/s", excluded=True)))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TuneOptions(LoadOptions):
    """All options; what to serve is a separate argument."""

    target: Annotated[Goal, option(goal_of, "TARGET")] = THROUGHPUT
    """The goal: `throughput`, the most requests per second; or `p99=50ms`, the fewest workers that
    answer 99 % of the requests within that time. Default: `throughput`."""

    rate: Annotated[float | None, RATE] = None
    """The expected rate of requests, which arrive at random times. Default: 80 % of what the pool
    can serve."""

    max_children: Annotated[Numbers, option(numbers_of, "LEAST-MOST|N,N,...")] = ANY
    """The numbers of workers to try: between two bounds, or a list. Default: from 1 to 500 (to 32
    with --client), as far as memory allows and while the rate still grows."""

    memory: Annotated[int | None, option(memory_of, "SIZE")] = None
    """Memory for the workers, such as 512M or 256G. Default: what is left on this machine, or in
    the control group."""

    cores: Annotated[int | None, values.COUNT] = None
    """Advise for a machine with this many cores, by simulation based on the measurements here;
    `--memory` says how much memory that machine has."""

    seconds: Annotated[float, SECONDS] = 60.0
    """Seconds for all trials together, plus the time to start workers and to simulate.
    Default: 60."""
