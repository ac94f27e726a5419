"""Draws the table: which candidate to use, and how the others compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefork.advice.noise import Estimate
from prefork.advice.phrasing import counted, shown
from prefork.cli.bench.advice import winner
from prefork.cli.bench.candidates import STRATEGIES, CandidateResult
from prefork.cli.bench.record import BenchRecord
from prefork.cli.measuring import plot_style as plotting

COLOURS = (
    plotting.GREEN,
    plotting.ORANGE,
    plotting.BLUE,
    plotting.SKY,
    plotting.RED,
    plotting.PINK,
)
"""The colours of the strategies, in their order."""
REFERENCES = (plotting.GREY, plotting.LIGHT_GREY)
GROUP = 0.86
"""The share of a group's width that its bars take up."""
WIDELY = 20
"""The axis is logarithmic if the largest figure is more than this many times the smallest."""


@dataclass(frozen=True)
class Panel:
    """One chart: the figure that its bars show, and the white line drawn in each bar."""

    title: str
    figure: Callable[[CandidateResult], Estimate]
    line: Callable[[CandidateResult], float] | None = None
    may_be_logarithmic: bool = True

    def is_logarithmic(self, results: Sequence[CandidateResult]) -> bool:
        values = [self.figure(result).value for result in results] or [0.0]
        return self.may_be_logarithmic and 0 < WIDELY * min(values) < max(values)

    def least(self, results: Sequence[CandidateResult]) -> float:
        """Return the lowest mark in the panel."""
        return min(
            self.figure(result).value if self.line is None else self.line(result)
            for result in results
        )


PANELS = (
    Panel(
        "requests per second (more is better; framed: the one to use)",
        lambda result: result.summary.rate,
        may_be_logarithmic=False,  # the heights are the message
    ),
    Panel("server CPU per request, ms (less is better)", lambda result: result.summary.cpu),
    Panel(
        "latency, ms: bar p99, white line p50 (less is better)",
        lambda result: Estimate(result.summary.p99),
        lambda result: result.summary.p50,
    ),
)


@dataclass(frozen=True)
class PlottedBar:
    """The bar of a result: its place in every panel, and its colour."""

    result: CandidateResult
    centre: float
    width: float
    colour: str
    named: bool
    """Whether the legend takes its strategy's colour from this bar."""


def groups(results: Sequence[CandidateResult]) -> list[str]:
    """Return the names below the groups of bars, which are at 0, 1, ... from left to right."""
    counts = sorted({result.candidate.workers for result in results} - {0})
    others = ["standard library"] * any(result.candidate.is_reference for result in results)
    return [counted(workers, "worker") for workers in counts] + others


def plotted_bars(results: Sequence[CandidateResult]) -> list[PlottedBar]:
    """Return a group of bars per number of workers, with a bar per strategy, and the references."""
    pools = [result.candidate for result in results if not result.candidate.is_reference]
    others = [result.candidate for result in results if result.candidate.is_reference]
    known = list(STRATEGIES)
    strategies = sorted({candidate.strategy for candidate in pools}, key=known.index)
    counts = sorted({candidate.workers for candidate in pools})
    width = GROUP / max(1, len(strategies), len(others))
    made = []
    named: set[str] = set()
    for result in results:
        candidate = result.candidate
        if candidate.is_reference:
            group, place, among = len(counts), others.index(candidate), len(others)
            colour = REFERENCES[place % len(REFERENCES)]
        else:
            group, place = counts.index(candidate.workers), strategies.index(candidate.strategy)
            among = len(strategies)
            colour = COLOURS[known.index(candidate.strategy) % len(COLOURS)]
        centre = group + (place - (among - 1) / 2) * width
        is_first = candidate.strategy not in named
        made.append(PlottedBar(result, centre, 0.9 * width, colour, is_first))
        named.add(candidate.strategy)
    return made


def draw(record: BenchRecord, file: Path) -> None:
    """Write a PNG with one panel each for requests per second, CPU and latency."""
    results = [result for result in record.results if result.summary.requests]
    picture = plotting.new_picture()
    panels = picture.subplots(len(PANELS), 1)
    for axes, panel in zip(panels, PANELS, strict=True):
        draw_panel(axes, results, panel)
    panels[0].legend(ncols=4, fontsize=10, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    footer = (
        f"{record.target}, {record.scheme}, {record.clients} clients, {record.rounds} rounds; "
        f"{record.machine}; {record.when:%Y-%m-%d}"
    )
    plotting.save(picture, file, record.advice, footer)


def draw_panel(axes: Any, results: Sequence[CandidateResult], panel: Panel) -> None:
    is_logarithmic = panel.is_logarithmic(results)
    plotting.style(axes, panel.title + ", logarithmic" * is_logarithmic)
    best = winner(results)
    for bar in plotted_bars(results):
        figure = panel.figure(bar.result)
        marked = bar.result is best
        axes.bar(
            bar.centre,
            figure.value,
            bar.width,
            color=bar.colour,
            label=bar.result.candidate.strategy if bar.named else None,
            yerr=figure.margin or None,
            ecolor="#00000080",
        )
        if marked:
            frame = {"fill": False, "edgecolor": "black", "linewidth": 2.5}
            axes.bar(bar.centre, figure.value, bar.width, **frame)
        axes.annotate(
            shown(figure.value),
            (bar.centre, figure.value + figure.margin),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            fontweight="bold" if marked else "normal",
        )
        if panel.line is not None:
            half, height = bar.width / 2, panel.line(bar.result)
            axes.hlines(height, bar.centre - half, bar.centre + half, "white", linewidth=2)
    names = groups(results)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.tick_params(axis="x", length=0, labelsize=11)
    axes.margins(y=0.15)
    if is_logarithmic:
        plotting.logarithmic(axes)
        axes.set_ylim(bottom=panel.least(results) / 2)
    else:
        axes.set_ylim(bottom=0)
