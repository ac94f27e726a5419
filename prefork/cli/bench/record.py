"""The record of one run of `prefork bench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from prefork.cli.bench.candidates import CandidateResult
from prefork.cli.measuring.run_info import RunInfo
from prefork.loadtest.trials import Trial

NAME = "prefork-bench"
"""The name of the files, without the extension."""


@dataclass(frozen=True, kw_only=True)
class BenchRecord(RunInfo):
    """One run: what was measured, on which machine, and the results."""

    clients: int
    rounds: int
    results: Sequence[CandidateResult]
    trials: Sequence[Sequence[Trial]]
    """The trials of each result."""
    complaints: Sequence[tuple[str, str]]
    """The title of each candidate with failures, and what was reported about its first failure."""
    advice: str

    def as_json(self) -> dict[str, object]:
        """Return everything, with the latencies of each trial as percentiles.

        Rates are per second; CPU and latencies are in milliseconds.
        """
        return self.head_as_json() | {
            "clients": self.clients,
            "rounds": self.rounds,
            "advice": self.advice,
            "results": [
                {"candidate": asdict(result.candidate)}
                | result.summary.as_json()
                | {"trials": [trial.as_json() for trial in trials]}
                for result, trials in zip(self.results, self.trials, strict=True)
            ],
        }
