"""The same as the table as a picture: what to take, and how the others compare."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefork.advice.phrasing import counted, shown
from prefork.cli.bench.advice import winner
from prefork.cli.bench.cells import STRATEGIES
from prefork.cli.bench.results import Result
from prefork.loadtest.trials import Estimate

if TYPE_CHECKING:
    from prefork.cli.bench.record import Record

COLOURS = ("#1b7837", "#7fbf7b", "#2166ac", "#67a9cf", "#d6604d", "#f4a582")
"""Of the strategies, in their order: related ones have related colours, and all differ in
lightness too."""
REFERENCES = ("#404040", "#909090")
GROUP = 0.86
"""The part of a group's width that its bars take."""
WIDELY = 20
"""From how many times the least figure on the largest makes the others too small to compare."""


@dataclass(frozen=True)
class Panel:
    """One of the charts: the figure that its bars show, and which white line is drawn in them."""

    title: str
    figure: Callable[[Result], Estimate]
    line: Callable[[Result], float] | None = None
    may_be_logarithmic: bool = True

    def is_logarithmic(self, results: Sequence[Result]) -> bool:
        values = [self.figure(result).value for result in results] or [0.0]
        return self.may_be_logarithmic and 0 < WIDELY * min(values) < max(values)

    def least(self, results: Sequence[Result]) -> float:
        """The lowest mark in it."""
        return min(
            self.figure(result).value if self.line is None else self.line(result)
            for result in results
        )


PANELS = (
    Panel(
        "requests per second (more is better; framed: the one to take)",
        lambda result: result.rate,
        may_be_logarithmic=False,  # the heights are the message
    ),
    Panel("server CPU of a request, ms (less is better)", lambda result: result.cpu),
    Panel(
        "latency, ms: bar p99, white line p50 (less is better)",
        lambda result: Estimate(result.p99),
        lambda result: result.p50,
    ),
)


@dataclass(frozen=True)
class Bar:
    """Where a result stands in every panel, and in which colour."""

    result: Result
    centre: float
    width: float
    colour: str
    named: bool
    """Whether it is the one of its strategy that the legend names."""


def groups(results: Sequence[Result]) -> list[str]:
    """The names under the bars, from left to right: those at 0, 1, ..."""
    counts = sorted({result.cell.workers for result in results} - {0})
    others = ["standard library"] * any(result.cell.is_reference for result in results)
    return [counted(workers, "worker") for workers in counts] + others


def bars(results: Sequence[Result]) -> list[Bar]:
    """A group for each number of workers, in it a bar for each strategy; then the references."""
    pools = [result.cell for result in results if not result.cell.is_reference]
    others = [result.cell for result in results if result.cell.is_reference]
    known = list(STRATEGIES)
    strategies = sorted({cell.strategy for cell in pools}, key=known.index)
    counts = sorted({cell.workers for cell in pools})
    width = GROUP / max(1, len(strategies), len(others))
    made = []
    named: set[str] = set()
    for result in results:
        cell = result.cell
        if cell.is_reference:
            group, place, among = len(counts), others.index(cell), len(others)
            colour = REFERENCES[place % len(REFERENCES)]
        else:
            group, place = counts.index(cell.workers), strategies.index(cell.strategy)
            among = len(strategies)
            colour = COLOURS[known.index(cell.strategy) % len(COLOURS)]
        centre = group + (place - (among - 1) / 2) * width
        made.append(Bar(result, centre, 0.9 * width, colour, cell.strategy not in named))
        named.add(cell.strategy)
    return made


def draw(record: Record, file: Path) -> None:
    """Write a PNG with a panel each for requests per second, CPU and latency."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Picture

    results = [result for result in record.results if result.requests]
    picture = Picture(figsize=(13, 13), dpi=100, layout="constrained")
    FigureCanvasAgg(picture)
    advice = "\n".join(textwrap.wrap(record.advice, 100))
    picture.suptitle(advice, fontsize=14, fontweight="bold", x=0.01, ha="left")
    panels = picture.subplots(len(PANELS), 1)
    for axes, panel in zip(panels, PANELS, strict=True):
        draw_panel(axes, results, panel)
    panels[0].legend(ncols=4, fontsize=10, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    picture.supxlabel(
        f"{record.target}, {record.scheme}, {record.clients} clients, {record.rounds} rounds; "
        f"{record.machine}; {record.when:%Y-%m-%d}",
        fontsize=9,
        color="#404040",
    )
    picture.savefig(file)


def draw_panel(axes: Any, results: Sequence[Result], panel: Panel) -> None:
    logarithmic = panel.is_logarithmic(results)
    axes.set_title(panel.title + ", logarithmic" * logarithmic, loc="left", fontsize=12)
    best = winner(results)
    for bar in bars(results):
        figure = panel.figure(bar.result)
        marked = bar.result is best
        axes.bar(
            bar.centre,
            figure.value,
            bar.width,
            color=bar.colour,
            label=bar.result.cell.strategy if bar.named else None,
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
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd")
    axes.set_axisbelow(True)
    axes.margins(y=0.15)
    if logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(bottom=panel.least(results) / 2)
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
