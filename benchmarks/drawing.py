"""The elements of which the plots are made: bars and curves with their figures beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Sheet
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from benchmarks.stored import Figure, Result

# Okabe and Ito's colours, which colour-blind readers can tell apart; peers are grey.
OURS, PEERS, SECOND = "#0072B2", "#B3B3B3", "#E69F00"
INK, FAINT = "#222222", "#6B6B6B"
WIDE = 10.0  # inches
BAR = 0.30  # inches that a bar takes, with its gap
SMALL = 8.5
A_FEW_TICKS = 50
"""From how many times the least value on the powers of ten are ticks enough."""
APART = 0.07
"""Of the height of a chart: what the names of two curves need between them."""
BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "ha": "left"}


@dataclass(frozen=True)
class Row:
    """A bar of a chart."""

    name: str
    value: Figure
    ours: bool
    note: str = ""
    """What stands behind the figure, such as a ratio."""


def bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Bars on a logarithmic scale, the first row on top, the middle half as a line."""
    for place, row in enumerate(rows):
        value = row.value
        axes.barh(place, value.median, 0.72, color=OURS if row.ours else PEERS)
        axes.plot((value.low, value.high), (place, place), color=INK, linewidth=1.2)
        axes.annotate(
            f"{short(value.median)}{row.note}",
            (max(value.high, value.median), place),
            (5, 0),
            **BESIDE,
            color=INK,
            fontsize=SMALL,
        )
    name_rows(axes, rows)
    logarithmic(axes, [row.value.median for row in rows])


def name_rows(axes: Axes, rows: Sequence[Row]) -> None:
    """The names beside the rows, ours in our colour, the first on top."""
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(left=False)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(OURS if row.ours else INK)
        label.set_fontweight("bold" if row.ours else "normal")
        label.set_fontsize(SMALL + 0.5)


def logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic x axis from well below the least value, with room for text at the right."""
    least, most = min(values) / 2.5, max(values)
    axes.set_xscale("log")
    axes.set_xlim(least, most * (most / least) ** 0.45)
    in_full(axes.xaxis)
    if most / least < A_FEW_TICKS:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))


def in_full(axis: Axis) -> None:
    """No powers of ten at a logarithmic axis, and nothing between them."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_locator(NullLocator())


def short(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def curve(axes: Axes, points: Mapping[float, Figure], colour: str) -> None:
    """A curve with each figure above its point, the middle half as a line; the points stand at
    equal distances."""
    places = range(len(points))
    medians = [value.median for value in points.values()]
    axes.plot(places, medians, "o-", color=colour, linewidth=2, markersize=5)
    for place, value in zip(places, points.values(), strict=True):
        axes.plot((place, place), (value.low, value.high), color=colour, linewidth=1.2)
        axes.annotate(
            short(value.median),
            (place, value.high),
            (0, 5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=INK,
            fontsize=SMALL,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    axes.xaxis.set_major_locator(FixedLocator(list(places)))
    axes.set_xticks(list(places), [f"{point:,g}" for point in points])


def name_above(axes: Axes, points: Mapping[float, Figure], colour: str, name: str) -> None:
    """The name of a curve above the figure of its last point."""
    axes.annotate(
        name,
        (len(points) - 1, list(points.values())[-1].high),
        (0, 20),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=colour,
        fontweight="bold",
        fontsize=SMALL + 0.5,
    )


def aside(axes: Axes, points: Mapping[float, float], colour: str) -> None:
    """A thin curve to compare with."""
    axes.plot(list(points), list(points.values()), "o--", color=colour, linewidth=1, markersize=4)


def name_ends(axes: Axes, place: float, ends: Iterable[tuple[float, str, str]]) -> None:
    """What stands behind the last point of each curve, for (height, text, colour), none upon
    another. When the limits are set."""
    low, high = axes.get_ylim()
    free = low
    for value, text, colour in sorted(ends):
        height = max(value, free)
        axes.annotate(
            text,
            (place, height),
            (7, 0),
            **BESIDE,
            color=colour,
            fontsize=SMALL,
        )
        free = height + APART * (high - low)


def titled(axes: Axes, title: str, unit: str) -> None:
    """What is shown, and in which unit; no frame. Before anything is drawn."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(unit, fontsize=SMALL, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(PEERS)
    axes.tick_params(colors=FAINT, labelsize=SMALL)


def signed(sheet: Sheet, result: Result) -> None:
    """When and where it was measured, below everything."""
    sheet.supxlabel(f"{result.date}, {result.machine}", x=0.99, ha="right", fontsize=7, color=FAINT)
