"""The progress bar over a whole run: the share of the expected time that has passed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from benchmarks.harness.console import console


@dataclass
class ProgressSpan:
    """A stretch of the bar; all numbers are shares, from 0 to 1."""

    start: float
    width: float
    used: float = 0.0
    """The share of this stretch that its parts have taken so far."""

    def part(self, share: float) -> ProgressSpan:
        """Take the next part: `share` of this stretch."""
        begin = self.start + self.used * self.width
        self.used += share
        return ProgressSpan(begin, share * self.width)

    def at(self, done: float) -> float:
        """Return the position of the whole bar when `done` of this stretch is complete."""
        return self.start + done * self.width


class ProgressBar:
    """The bar and its nested parts.

    A caller gives a measurement a part of the bar with `part()`. The measurement reports with
    `at()` how much of its own work is done, and does not know how large its part is.
    """

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
        self._spans = [ProgressSpan(0.0, 1.0)]

    @contextmanager
    def shown(self, seconds: int) -> Iterator[None]:
        """Show the bar during a run of an expected length, in seconds."""
        self._progress.reset(self._task, expected=f"of about {timedelta(seconds=seconds)}")
        with self._progress:
            yield

    @contextmanager
    def part(self, share: float) -> Iterator[None]:
        """Give the block `share` of the current part."""
        span = self._spans[-1].part(share)
        self._spans.append(span)
        try:
            yield
        finally:
            self._spans.pop()
            self._progress.update(self._task, completed=span.at(1.0))

    def at(self, done: float, label: str | None = None) -> None:
        """Report that `done` of the current part, from 0 to 1, is complete.

        `label` replaces the text before the bar; `None` keeps it.
        """
        self._progress.update(self._task, completed=self._spans[-1].at(done), description=label)


bar = ProgressBar()
"""The only bar of the process. It prints nothing unless it is shown."""
