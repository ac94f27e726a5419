"""What a run has given, and how it is written to files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from prefork import __version__
from prefork.cli.bench import plots
from prefork.cli.bench.results import Result, Turn
from prefork.cli.load.figures import percentiles
from prefork.cli.load.machine import Machine
from prefork.cli.outcomes import Refusal

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
                asdict(result) | {"turns": list(map(_turn, turns))}
                for result, turns in zip(self.results, self.turns, strict=True)
            ],
        }


def _turn(turn: Turn) -> dict[str, object]:
    measured = turn.measured
    p50, p99 = percentiles(measured.took)
    return {
        "rate": measured.rate,
        "requests": measured.exchanges,
        "failures": measured.failures,
        "reason": measured.reason,
        "server_cpu_seconds": turn.cpu,
        "clients_busy": measured.busy,
        "p50": p50,
        "p99": p99,
        "longest": 1000 * max(measured.took, default=0.0),
    }


def make_room(folder: Path) -> None:
    """Make the folder. Errors: `Refusal` when that cannot be, or nothing can be written there."""
    with _in_words(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{NAME}.json").touch()


def write(record: Record, folder: Path) -> str:
    """Write JSON and PNG; the sentence says where they are, or why not.

    Errors: `Refusal`.
    """
    file, picture = folder / f"{NAME}.json", folder / f"{NAME}.png"
    with _in_words(folder):
        file.write_text(json.dumps(record.as_json(), indent=1) + "\n")
        if not plots.can_draw():
            return f"Written to {file}. {plots.MISSING}"
        plots.draw(record, picture)
    return f"Written to {file} and {picture}."


@contextlib.contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal(f"--output {str(folder)!r} cannot be written to: {error.strerror}.") from None
