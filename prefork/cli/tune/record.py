"""The record of one run of `prefork tune`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from prefork.advice.phrasing import counted, in_time, shown
from prefork.cli.measuring.run_info import RunInfo
from prefork.cli.tune.conclusions import Conclusions, Requirements, Size
from prefork.loadtest.trials import Trial

NAME = "prefork-tune"
"""The name of the files, without the extension."""
NO_CONTENTION, NO_COHERENCE = 1e-5, 1e-8
"""Smaller values of sigma and kappa do not affect the rate of any number of workers."""


@dataclass(frozen=True, kw_only=True)
class TuneRecord(RunInfo):
    """One run: what was measured, on which machine, and the results."""

    extra: tuple[str, ...]
    """Further options that `prefork serve` needs to serve the target."""
    requirements: Requirements
    sizes: Sequence[Size]
    trials: Sequence[Sequence[Trial]]
    """The trials of each size."""
    found: Conclusions | None
    """`None` if no size has served without a failure."""
    complaint: str = ""
    """What was reported about the first failure."""

    @property
    def command(self) -> str:
        """The command that serves the target as advised."""
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
            return "No curve: fewer than three numbers of workers were measured."
        return (
            "Universal Scalability Law: sigma "
            f"{coefficient(fit.law.sigma, NO_CONTENTION)} (contention), kappa "
            f"{coefficient(fit.law.kappa, NO_COHERENCE)} (coherence), R² {fit.r2:.3f}."
        )

    @property
    def queue(self) -> str:
        """A sentence about how long clients wait at the expected rate, according to both models."""
        assert self.found is not None
        found, model = self.found, self.found.model
        prediction = found.predictions[found.advice.max_children]
        workers = counted(found.advice.max_children, "worker")
        if prediction.is_behind(found.rate):
            return (
                f"At {shown(found.rate)} requests/s the queue of {workers} would grow without "
                f"limit: they serve {shown(prediction.rate)} (simulated)."
            )
        return (
            f"At {shown(found.rate)} requests/s: 99 % are answered within "
            f"{in_time(prediction.p99)} (simulated); 99 % {waits(model.wait(0.99))} "
            f"(M/G/{model.servers}, Allen-Cunneen)."
        )

    def as_json(self) -> dict[str, object]:
        """Return everything, with the latencies of each trial as percentiles.

        Rates are per second, memory is in bytes; CPU and latencies of trials and sizes are in
        milliseconds, all other times in seconds.
        """
        head = self.head_as_json() | {
            "required": {"p99": self.requirements.p99, "rate": self.requirements.rate},
            "for": self.requirements.resources._asdict(),
            "sizes": [
                vars(size)
                | {"summary": size.summary.as_json(), "trials": [one.as_json() for one in trials]}
                for size, trials in zip(self.sizes, self.trials, strict=True)
            ],
        }
        if (found := self.found) is None:
            return head
        return head | {
            "profile": found.profile._asdict(),
            "here": found.resources._asdict(),
            "knee": found.best.workers,
            "law": None if found.fit is None else asdict(found.fit),
            "rate": found.rate,
            "predictions": {n: one._asdict() for n, one in sorted(found.predictions.items())},
            "queue": {**found.model._asdict(), "p99_wait": _finite(found.model.wait(0.99))},
            "advice": asdict(found.advice),
            "command": self.command,
        }


def coefficient(value: float, negligible: float) -> str:
    """Return a fitted coefficient, 0 if its digits only reflect the starting point of the fit."""
    return f"{value:.2g}" if value > negligible else "0"


def waits(seconds: float) -> str:
    """Return the predicate for requests that wait at most that long for a worker."""
    if not seconds:
        return "find an idle worker"
    if math.isinf(seconds):
        return "wait without limit for a worker"
    return f"wait at most {in_time(seconds)} for a worker"


def _finite(figure: float) -> float | None:
    """Return the figure, or `None` if it is infinite, which JSON cannot express."""
    return figure if math.isfinite(figure) else None
