"""Results of a bench that was never run."""

from prefork.cli.bench.cells import Cell
from prefork.cli.bench.results import Result
from prefork.loadtest.trials import Estimate


def a_result(
    name: str,
    workers: int,
    rate: float,
    margin: float = 0.0,
    *,
    cpu: float = 1.0,
    p99: float = 10.0,
    failures: int = 0,
    requests: int = 100,
) -> Result:
    cell = Cell(name, workers)
    return Result(cell, Estimate(rate, margin), Estimate(cpu), p99 / 2, p99, requests, failures)


TWO_CORES = [
    a_result("accept", 1, 100),
    a_result("accept", 2, 201),
    a_result("accept", 4, 205),
    a_result("fork", 1, 80, cpu=4.0),
    a_result("fork", 2, 150, cpu=4.1),
]
