"""What a run has given, and how it is written to files."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from prefork.advice.phrasing import counted, in_time, shown
from prefork.cli.measuring import output
from prefork.cli.measuring.run_info import RunInfo
from prefork.cli.tune import plots
from prefork.cli.tune.conclusions import Conclusions, Size, Wish
from prefork.loadtest.trials import Trial

NAME = "prefork-tune"
NO_CONTENTION, NO_COHERENCE = 1e-5, 1e-8
"""Less than this, of sigma and of kappa, costs no number of workers anything."""


@dataclass(frozen=True, kw_only=True)
class Record(RunInfo):
    """One run: what was asked, of which machine, and what came of it."""

    extra: tuple[str, ...]
    """What else `prefork serve` has to be told to serve it."""
    wish: Wish
    sizes: Sequence[Size]
    turns: Sequence[Sequence[Trial]]
    """Of each size."""
    found: Conclusions | None
    """`None` when no size has served without a failure."""
    complaint: str = ""
    """What was said about the first failure."""

    @property
    def command(self) -> str:
        """What to type."""
        assert self.found is not None
        advice = self.found.advice
        words = ["prefork serve", self.target, *self.extra]
        words.append(f"--max-children {advice.max_children}")
        if not self.found.profile.datagrams:
            words.append(f"--backlog {advice.backlog}")
        if advice.threads > 1:
            words.append(f"--threads {advice.threads}")
        return " ".join(words)

    @property
    def law(self) -> str:
        """A sentence about the curve."""
        if self.found is None or (fit := self.found.fit) is None:
            return "Fewer than three numbers of workers were measured: there is no curve."
        return (
            f"Universal Scalability Law: sigma {lost(fit.law.sigma, NO_CONTENTION)} (contention), "
            f"kappa {lost(fit.law.kappa, NO_COHERENCE)} (coherence), R² {fit.r2:.3f}."
        )

    @property
    def queue(self) -> str:
        """A sentence about what clients wait at the rate that is expected, by both models."""
        assert self.found is not None
        found, model = self.found, self.found.model
        said = found.predictions[found.advice.max_children]
        workers = counted(found.advice.max_children, "worker")
        if said.is_behind(found.rate):
            return (
                f"At {shown(found.rate)} requests/s the queue of {workers} would grow without end: "
                f"they serve {shown(said.rate)} (simulated)."
            )
        return (
            f"At {shown(found.rate)} requests/s: 99 % answered within {in_time(said.p99)} "
            f"(simulated); 99 % {waits(model.wait(0.99))} (M/G/{model.servers}, Allen-Cunneen)."
        )

    def as_json(self) -> dict[str, object]:
        """Everything, the latencies of each turn as percentiles. Rates per second, memory in bytes;
        CPU and latencies of turns and sizes in milliseconds, all other times in seconds."""
        said = self.head_as_json() | {
            "wanted": {"p99": self.wish.p99, "rate": self.wish.rate},
            "for": self.wish.place._asdict(),
            "sizes": [
                asdict(size)
                | {"summary": _summary(size), "turns": [turn.as_json() for turn in turns]}
                for size, turns in zip(self.sizes, self.turns, strict=True)
            ],
        }
        if (found := self.found) is None:
            return said
        return said | {
            "profile": found.profile._asdict(),
            "here": found.place._asdict(),
            "knee": found.best.workers,
            "law": None if found.fit is None else asdict(found.fit),
            "rate": found.rate,
            "predictions": {n: said._asdict() for n, said in sorted(found.predictions.items())},
            "queue": {**found.model._asdict(), "p99_wait": _finite(found.model.wait(0.99))},
            "advice": asdict(found.advice),
            "command": self.command,
        }


def lost(part: float, nothing: float) -> str:
    """What a fit found, of which the last digits are those of its start."""
    return f"{part:.2g}" if part > nothing else "0"


def waits(seconds: float) -> str:
    """What becomes of requests that wait for a worker for so long at most."""
    if not seconds:
        return "find an idle worker"
    if math.isinf(seconds):
        return "wait without end for a worker"
    return f"wait {in_time(seconds)} at most for a worker"


def _finite(figure: float) -> float | None:
    """JSON has no word for a wait without end."""
    return figure if math.isfinite(figure) else None


def _summary(size: Size) -> dict[str, object]:
    summary = size.summary
    return summary._asdict() | {"rate": asdict(summary.rate), "cpu": asdict(summary.cpu)}


def write(record: Record, folder: Path) -> str:
    """Write JSON and PNG; the sentence says where they are, or why not.

    Errors: `Refusal`.
    """
    draw = functools.partial(plots.draw, record)
    return output.write(folder, NAME, record.as_json(), draw, extra="tune")
