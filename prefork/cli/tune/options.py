"""What can be said to `prefork tune`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from prefork.cli import values as reading
from prefork.cli.measuring.options import SECONDS, LoadOptions
from prefork.cli.measuring.parsing import option
from prefork.cli.tune.counts import (
    ANY,
    THROUGHPUT,
    Numbers,
    Target,
    memory_of,
    numbers_of,
    target_of,
)
from prefork.settings import Range, Rule

RATE = reading.by(Rule(float, range=Range(0, "requests/s", excluded=True)))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TuneOptions(LoadOptions):
    """Everything beside what to serve."""

    target: Annotated[Target, option(target_of, "TARGET")] = THROUGHPUT
    """What is wanted: `throughput`, as many requests a second as there can be; or `p99=50ms`, the
    fewest workers with which 99 % of the requests are answered within that time. Default:
    `throughput`."""

    rate: Annotated[float | None, RATE] = None
    """Requests a second that are expected, at random times. Default: 80 % of what the pool can
    serve."""

    max_children: Annotated[Numbers, option(numbers_of, "LEAST-MOST|N,N,...")] = ANY
    """Numbers of workers to try: between two bounds, or a list. Default: from 1 to 500, with a
    --client to 32, as far as memory allows and anything is gained."""

    memory: Annotated[int | None, option(memory_of, "SIZE")] = None
    """Memory for the workers, such as 512M or 256G. Default: what is left on this machine, or in
    the control group."""

    cores: Annotated[int | None, reading.COUNT] = None
    """Advise for a machine with so many cores, by simulation of what is measured here; with
    `--memory` for the memory that it has."""

    seconds: Annotated[float, SECONDS] = 60.0
    """For all measurements together; some more go by until workers stand ready and have served
    once, and for the simulations. Default: 60."""
