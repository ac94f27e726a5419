"""The chart style: the elements of all plots.

No other module chooses a colour, a font size or an offset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from benchmarks.harness.rounds import Spread
from benchmarks.report.results import MeasurementResult

# Okabe and Ito's colours, which colour-blind readers can tell apart; other servers are grey.
PREFORK, OTHERS, SECOND = "#0072B2", "#B3B3B3", "#E69F00"
INK, FAINT = "#222222", "#6B6B6B"
WIDE = 10.0
"""Inches; the width of a sheet."""
BAR = 0.30
"""Inches that a horizontal bar takes with its gap."""
DOTS_PER_INCH = 130
SMALL = 8.5
GROUP = 0.84
"""The share of its place that a group of vertical bars takes."""
FEW_TICKS = 50
"""The ratio of the largest to the smallest value at which ticks at powers of ten are enough."""
APART = 0.07
"""The distance that the names of two curves need, as a share of the chart's height."""
BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "ha": "left"}
ABOVE: dict[str, Any] = {"textcoords": "offset points", "va": "bottom", "ha": "center"}


@dataclass(frozen=True)
class BarRow:
    """A horizontal bar, or a range, with its name at the left."""

    name: str
    value: Spread
    is_prefork: bool
    note: str = ""
    """A string behind the figure, such as a ratio."""


def sheet(height: float, width: float = WIDE) -> Figure:
    """Return an empty sheet; sizes in inches."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(made: Figure, result: MeasurementResult, file: Path) -> None:
    """Write a sheet as PNG, with the date and the machine of a result at the bottom."""
    made.supxlabel(f"{result.date}, {result.machine}", x=0.99, ha="right", fontsize=7, color=FAINT)
    made.savefig(file, dpi=DOTS_PER_INCH)


def titled(axes: Axes, title: str, unit: str) -> None:
    """Set the title and the unit of the x axis, and remove the frame. Call it first."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(unit, fontsize=SMALL, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(OTHERS)
    axes.tick_params(colors=FAINT, labelsize=SMALL)


def unit_at_left(axes: Axes, unit: str) -> None:
    axes.set_ylabel(unit, fontsize=SMALL, color=FAINT)


def bars(axes: Axes, rows: Sequence[BarRow], places: int = 0) -> None:
    """Draw horizontal bars on a logarithmic scale, the first row on top, the middle half as a line.

    `places`, if larger than the number of rows, leaves room below them, so that the bars of two
    charts side by side have the same height.
    """
    for place, row in enumerate(rows):
        value = row.value
        axes.barh(place, value.median, 0.72, color=PREFORK if row.is_prefork else OTHERS)
        axes.plot((value.low, value.high), (place, place), color=INK, linewidth=1.2)
        text_right_of(
            axes, (max(value.high, value.median), place), f"{short(value.median)}{row.note}"
        )
    name_rows(axes, rows, places)
    logarithmic(axes, [row.value.median for row in rows])


def ranges(axes: Axes, rows: Sequence[BarRow], ends: Sequence[float]) -> None:
    """Draw a dot at the median of each row and a bar to its end, on a logarithmic scale."""
    name_rows(axes, rows)
    for place, (row, end) in enumerate(zip(rows, ends, strict=True)):
        start = row.value.median
        colour = PREFORK if row.is_prefork else OTHERS
        axes.plot((start, end), (place, place), color=colour, linewidth=2.5)
        axes.plot(start, place, "o", color=colour)
        axes.plot(end, place, "|", color=colour, markersize=10, markeredgewidth=2.5)
        text_right_of(axes, (end, place), f"{start:.3g} … {end:.3g}")
    logarithmic(axes, [*(row.value.median for row in rows), *ends])


def groups(axes: Axes, names: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    """Draw a group of vertical bars for each name, with a bar for each of up to three series."""
    thickness = GROUP / len(series)
    for number, (label, values) in enumerate(series.items()):
        colour = (OTHERS, PREFORK, SECOND)[number]
        for place, value in enumerate(values):
            middle = place + (number - (len(series) - 1) / 2) * thickness
            axes.bar(middle, value, thickness * 0.9, color=colour, label="" if place else label)
            axes.annotate(
                f"{value:,.0f}",
                (middle, value),
                (0, 3),
                **ABOVE,
                rotation=90,
                color=INK,
                fontsize=SMALL - 1,
            )
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(bottom=False)


def curve(axes: Axes, points: Mapping[float, Spread], colour: str) -> None:
    """Draw a curve with each figure above its point and the middle half as a line. The points are
    at equal distances."""
    places = range(len(points))
    medians = [value.median for value in points.values()]
    axes.plot(places, medians, "o-", color=colour, linewidth=2, markersize=5)
    for place, value in zip(places, points.values(), strict=True):
        axes.plot((place, place), (value.low, value.high), color=colour, linewidth=1.2)
        axes.annotate(
            short(value.median),
            (place, value.high),
            (0, 5),
            **ABOVE,
            color=INK,
            fontsize=SMALL,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    axes.xaxis.set_major_locator(FixedLocator(list(places)))
    axes.set_xticks(list(places), [f"{point:,g}" for point in points])


def thin_curve(axes: Axes, points: Mapping[float, float], colour: str) -> None:
    """Draw a thin curve, for comparison."""
    axes.plot(list(points), list(points.values()), "o--", color=colour, linewidth=1, markersize=4)


def name_above(axes: Axes, points: Mapping[float, Spread], colour: str, name: str) -> None:
    """Write the name of a curve above the figure of its last point."""
    axes.annotate(
        name,
        (len(points) - 1, list(points.values())[-1].high),
        (0, 20),
        **ABOVE,
        color=colour,
        fontweight="bold",
        fontsize=SMALL + 0.5,
    )


def name_ends(axes: Axes, place: float, ends: Iterable[tuple[float, str, str]]) -> None:
    """Write a label behind the last point of each curve, given as (height, text, colour), so that
    the labels do not overlap. Call it after the limits are set."""
    low, high = axes.get_ylim()
    free = low
    for value, text, colour in sorted(ends):
        height = max(value, free)
        text_right_of(axes, (place, height), text, colour)
        free = height + APART * (high - low)


def text_right_of(axes: Axes, point: tuple[float, float], text: str, colour: str = INK) -> None:
    axes.annotate(text, point, (6, 0), **BESIDE, color=colour, fontsize=SMALL)


def name_rows(axes: Axes, rows: Sequence[BarRow], places: int = 0) -> None:
    """Write the names beside the rows, the first on top; prefork's in its colour."""
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(max(len(rows), places) - 0.4, -0.6)
    axes.tick_params(left=False)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(PREFORK if row.is_prefork else INK)
        label.set_fontweight("bold" if row.is_prefork else "normal")
        label.set_fontsize(SMALL + 0.5)


def logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """Make the x axis logarithmic, with room for text at the right."""
    least, most = min(values) / 2.5, max(values)
    axes.set_xscale("log")
    axes.set_xlim(least, most * (most / least) ** 0.45)
    plain_ticks(axes.xaxis)
    if most / least < FEW_TICKS:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))


def plain_ticks(axis: Axis) -> None:
    """Write the numbers of a logarithmic axis without exponents, and remove its minor ticks."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_locator(NullLocator())


def short(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
