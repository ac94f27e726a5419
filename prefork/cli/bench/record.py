"""What a run has given, and how it is written to files."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from prefork import __version__
from prefork.cli.bench import plots
from prefork.cli.bench.results import Result
from prefork.cli.load import output
from prefork.cli.load.machine import Machine
from prefork.cli.load.turns import Turn

NAME = "prefork-bench"


@dataclass(frozen=True)
class Record:
    """One run: what was asked, of which machine, and what came of it."""

    target: str
    scheme: str
    client: str | None
    request: bytes | None
    clients: int
    rounds: int
    seconds: float
    machine: Machine
    others_percent: float
    """What others took of it during the measurements."""
    results: Sequence[Result]
    turns: Sequence[Sequence[Turn]]
    """Of each result."""
    complaints: Sequence[tuple[str, str]]
    """The title of each cell with failures, and what was said about the first of them."""
    advice: str
    when: datetime = field(default_factory=lambda: datetime.now().astimezone())

    def as_json(self) -> dict[str, object]:
        """Everything, the latencies of each turn as percentiles; rates per second, CPU and
        latencies in milliseconds."""
        return {
            "prefork": __version__,
            "when": self.when.isoformat(timespec="seconds"),
            "machine": asdict(self.machine),
            "others_percent": self.others_percent,
            "target": self.target,
            "kind": self.scheme,
            "client": self.client,
            "request": None if self.request is None else self.request.decode("latin-1"),
            "clients": self.clients,
            "rounds": self.rounds,
            "seconds": self.seconds,
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
