"""Goals: a figure, its bounds, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness.rounds import Rounds, ratios
from benchmarks.report.tables import COST

MET, MISSED, VOID = "met", "missed", "void"


@dataclass(frozen=True)
class Goal:
    """A figure and its bounds. `sentence` has a placeholder for the figure, such as `{:.2f}`."""

    sentence: str
    value: float
    margin: float = 0.0
    """The uncertainty of the measured figure; 0 for a count."""
    at_most: float | None = None
    at_least: float | None = None
    valid: bool = True
    """Whether the conditions of the measurement were met. If false, the figure means nothing."""

    @property
    def verdict(self) -> str:
        """`met` or `missed`; `void` if the figure means nothing."""
        if not self.valid:
            return VOID
        return MET if self._is_within_bounds else MISSED

    @property
    def is_met(self) -> bool:
        return self.verdict == MET

    @property
    def _is_within_bounds(self) -> bool:
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def __str__(self) -> str:
        margin = f"± {self.margin:.2g}; " if self.margin else ""
        return f"{self.sentence.format(self.value)} ({margin}goal: {self._bounds})"

    @property
    def _bounds(self) -> str:
        if self.at_most is not None and self.at_most == self.at_least:
            return f"exactly {self.at_most:g}"
        bounds = (("most", self.at_most), ("least", self.at_least))
        return ", ".join(f"at {which} {bound:g}" for which, bound in bounds if bound is not None)


def cost(
    rounds: Rounds,
    name: str,
    reference: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> list[Goal]:
    """Return a goal for the CPU time of a request, as a multiple of another server's; an
    empty list if one of the two was not measured."""
    if name not in rounds or reference not in rounds:
        return []
    times = ratios(rounds, name, reference, COST.of)
    sentence = f"{name} costs {{:.2f}} times as much as {reference}"
    return [Goal(sentence, times.median, times.margin, at_most, at_least)]
