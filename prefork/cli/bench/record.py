"""What a run has given, and how it is written to files."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from prefork.cli.bench import plots
from prefork.cli.bench.results import Result
from prefork.cli.measuring import output
from prefork.cli.measuring.run_info import RunInfo
from prefork.loadtest.trials import Trial

NAME = "prefork-bench"


@dataclass(frozen=True, kw_only=True)
class Record(RunInfo):
    """One run: what was asked, of which machine, and what came of it."""

    clients: int
    rounds: int
    results: Sequence[Result]
    turns: Sequence[Sequence[Trial]]
    """Of each result."""
    complaints: Sequence[tuple[str, str]]
    """The title of each cell with failures, and what was said about the first of them."""
    advice: str

    def as_json(self) -> dict[str, object]:
        """Everything, the latencies of each turn as percentiles; rates per second, CPU and
        latencies in milliseconds."""
        return self.head_as_json() | {
            "clients": self.clients,
            "rounds": self.rounds,
            "advice": self.advice,
            "results": [
                asdict(result) | {"turns": [turn.as_json() for turn in turns]}
                for result, turns in zip(self.results, self.turns, strict=True)
            ],
        }


def write(record: Record, folder: Path) -> str:
    """Write JSON and PNG; the sentence says where they are, or why not.

    Errors: `Refusal`.
    """
    draw = functools.partial(plots.draw, record)
    return output.write(folder, NAME, record.as_json(), draw, extra="plots")
