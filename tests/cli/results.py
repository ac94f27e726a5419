"""Results of a bench that was never run."""

from prefork.advice.noise import Estimate
from prefork.cli.bench.candidates import Candidate, CandidateResult
from prefork.loadtest.trials import Summary


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
    clients_busy: float = 0.0,
) -> CandidateResult:
    """Of four trials."""
    summary = Summary(
        Estimate(rate, margin, 4),
        Estimate(cpu, 0.0, 4),
        p99 / 2,
        p99,
        requests,
        failures,
        clients_busy,
    )
    return CandidateResult(Candidate(name, workers), summary)


TWO_CORES = [
    a_result("accept", 1, 100),
    a_result("accept", 2, 201),
    a_result("accept", 4, 205),
    a_result("fork", 1, 80, cpu=4.0),
    a_result("fork", 2, 150, cpu=4.1),
]
