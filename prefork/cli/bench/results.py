"""What was measured of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefork.cli.bench.cells import Cell
from prefork.loadtest.trials import Estimate, Summary, Trial


@dataclass(frozen=True)
class Result:
    """One cell; `cpu` in milliseconds of the server's CPU for a request, p50 and p99 in
    milliseconds from a client's connect to the end of its answer."""

    cell: Cell
    rate: Estimate
    cpu: Estimate
    p50: float
    p99: float
    requests: int
    failures: int
    clients_busy: float = 0.0
    """The part of a core that the busiest process of clients used: near 1, servers waited."""

    @classmethod
    def of(cls, cell: Cell, turns: Sequence[Trial]) -> Result:
        return cls(cell, *Summary.of(turns))
