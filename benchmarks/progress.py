"""The bar over a whole run: how much of the time that it is expected to take has gone by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from benchmarks.output import console


@dataclass
class Span:
    """A stretch of the bar, as shares of the whole."""

    start: float
    width: float
    used: float = 0.0
    """How much of this stretch the parts so far have taken, as a share of it."""

    def part(self, share: float) -> Span:
        """The next part, `share` of this stretch."""
        begin = self.start + self.used * self.width
        self.used += share
        return Span(begin, share * self.width)

    def at(self, done: float) -> float:
        return self.start + done * self.width


class Bar:
    """Measurements say how far they are in what they do; who called them, which part that is."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[expected]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=1.0, expected="")
        self._spans = [Span(0.0, 1.0)]

    @contextmanager
    def shown(self, seconds: int) -> Iterator[None]:
        """Show the bar, for a run that is expected to take so long."""
        self._progress.reset(self._task, expected=f"of about {timedelta(seconds=seconds)}")
        with self._progress:
            yield

    @contextmanager
    def part(self, share: float) -> Iterator[None]:
        """What happens inside fills `share` of the part around it."""
        span = self._spans[-1].part(share)
        self._spans.append(span)
        try:
            yield
        finally:
            self._spans.pop()
            self._progress.update(self._task, completed=span.at(1.0))

    def at(self, done: float, label: str | None = None) -> None:
        """So much of the part in hand is done, from 0 to 1; `label` says what it is, if that is
        another one than before."""
        self._progress.update(self._task, completed=self._spans[-1].at(done), description=label)


bar = Bar()
"""The one bar of the process, as there is one terminal; it is silent until it is shown."""
