"""Trials, which are measured intervals of a server under load, and their combined figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from prefork.advice.noise import Estimate
from prefork.loadtest.protocol import Measured
from prefork.state.histogram import Histogram

QUIET = 0.1
"""Cores that other programs may use in an undisturbed trial."""


@dataclass(frozen=True)
class Trial:
    """What the clients measured in one interval, and the CPU time that they and the server used.

    All times are in seconds; `waited` is time during which they were ready to run but had no core.
    """

    measured: Measured
    cpu: float
    clients_cpu: float = 0.0
    waited: float = 0.0
    clients_waited: float = 0.0
    others: float = 0.0
    """Cores used by other programs."""

    def as_json(self) -> dict[str, object]:
        """Return the trial with latencies as percentiles, in milliseconds."""
        measured = self.measured
        latencies = measured.latencies
        return {
            "rate": measured.rate,
            "requests": measured.exchanges,
            "failures": measured.failures,
            "reason": measured.reason,
            "server_cpu_seconds": self.cpu,
            "clients_cpu_seconds": self.clients_cpu,
            "server_waited_seconds": self.waited,
            "clients_waited_seconds": self.clients_waited,
            "clients_busy": measured.busy,
            "others_cores": self.others,
            "p50": 1000 * latencies.quantile(0.5),
            "p99": 1000 * latencies.quantile(0.99),
            "longest": 1000 * latencies.longest,
        }


def undisturbed(trials: Sequence[Trial]) -> Sequence[Trial]:
    """Return the trials in which other programs used hardly any CPU, or the quieter half."""
    quiet = [trial for trial in trials if trial.others <= QUIET]
    if 2 * len(quiet) >= len(trials):
        return quiet
    return sorted(trials, key=lambda trial: trial.others)[: (len(trials) + 1) // 2]


class Summary(NamedTuple):
    """The combined figures of some trials."""

    rate: Estimate
    """Requests per second."""
    cpu: Estimate
    """Milliseconds of the server's CPU per request."""
    p50: float
    """Milliseconds from a client's connect() to the end of its answer."""
    p99: float
    requests: int
    failures: int
    clients_busy: float
    """The part of a core that the busiest client process used; near 1, the clients limit the
    rate."""

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Summary:
        measured = [trial.measured for trial in trials]
        latencies = sum((m.latencies for m in measured), Histogram())
        costs = [1000 * t.cpu / t.measured.exchanges for t in trials if t.measured.exchanges]
        return cls(
            Estimate.of([m.rate for m in measured]),
            Estimate.of(costs),
            1000 * latencies.quantile(0.5),
            1000 * latencies.quantile(0.99),
            sum(m.exchanges for m in measured),
            sum(m.failures for m in measured),
            max((m.busy for m in measured), default=0.0),
        )

    def as_json(self) -> dict[str, object]:
        return self._asdict() | {"rate": asdict(self.rate), "cpu": asdict(self.cpu)}
