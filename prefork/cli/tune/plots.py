"""Draws the sweep: the measurements, the law fitted to them, the bounds, and the knee."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, degrees
from pathlib import Path
from typing import Any

from prefork.advice.phrasing import counted, in_time, shown
from prefork.advice.recommendation import saturation
from prefork.cli.measuring import plot_style as plotting
from prefork.cli.tune.conclusions import Conclusions, Size, at_most
from prefork.cli.tune.record import TuneRecord

MEASURED, LAW, KNEE = plotting.BLACK, plotting.BLUE, plotting.RED
LIMIT, SIMULATED, FAINT = plotting.PINK, plotting.GREEN, plotting.GREY
BESIDE: dict[str, Any] = {"textcoords": "offset points"}
CURVE_POINTS = 200
HIGHEST = 1.35
"""The top of the chart, as a multiple of the best rate; bounds above it are not shown."""


def draw(record: TuneRecord, file: Path) -> None:
    """Write a PNG with one panel each for requests per second and latency."""
    sizes = [size for size in record.sizes if size.summary.requests]
    picture = plotting.new_picture()
    rates, latencies = picture.subplots(2, 1, height_ratios=(3, 2), sharex=True)
    here = ", measured here" if record.requirements.elsewhere else ""
    plotting.style(rates, f"requests per second, by workers{here}")
    plotting.style(latencies, "latency, ms, by workers (logarithmic)")
    latencies.set_xlabel("workers (max_children)")
    for axes in (rates, latencies):
        axes.set_xlim(0, right_end(record, sizes))
    draw_rates(rates, sizes)
    draw_latencies(latencies, sizes)
    title = "Nothing to recommend: requests failed."
    if (found := record.found) is not None:
        title = f"{record.command}\n{' '.join(found.advice.reasons[:2])}"
        draw_law(rates, found, record)
        draw_knee(rates, found, sizes)
        draw_predictions(latencies, found, record)
        for axes in (rates, latencies):
            mark_lines(axes, found, record)
    rates.legend(fontsize=9, loc="lower right", edgecolor="none")
    latencies.legend(fontsize=9, loc="upper left", edgecolor="none")
    footer = (
        f"{record.target}, {record.scheme}, within {record.seconds:g} s; {record.machine}; "
        f"{record.when:%Y-%m-%d}"
    )
    plotting.save(picture, file, title, footer)


def right_end(record: TuneRecord, sizes: Sequence[Size]) -> float:
    """Return the end of the axis of workers, a little beyond all that is drawn."""
    marked = [size.workers for size in sizes] + [1]
    if (found := record.found) is not None and not record.requirements.elsewhere:
        marked.append(found.advice.max_children)
    return 1.08 * max(marked) + 0.5


def draw_rates(axes: Any, sizes: Sequence[Size]) -> None:
    axes.errorbar(
        [size.workers for size in sizes],
        [size.summary.rate.value for size in sizes],
        [size.summary.rate.margin for size in sizes],
        fmt="o",
        color=MEASURED,
        capsize=4,
        zorder=3,
        label="measured; half of the trials are within the bar",
    )
    best = max((size.summary.rate.value for size in sizes), default=1.0)
    axes.set_ylim(0, HIGHEST * best)


def draw_law(axes: Any, found: Conclusions, record: TuneRecord) -> None:
    """Draw the fitted curve, and the two bounds for any number of workers."""
    end, top = axes.get_xlim()[1], axes.get_ylim()[1]
    places = [end * number / CURVE_POINTS for number in range(1, CURVE_POINTS + 1)]
    slots = found.profile.slots
    if (fit := found.fit) is not None:
        law = fit.law
        numbers = sorted({max(1, round(place)) for place in places})
        axes.plot(
            numbers,
            [law.rate(number * slots) for number in numbers],
            color=LAW,
            linewidth=2,
            zorder=2,
            label=record.law.rstrip("."),
        )
    each, full = slots / found.profile.service, saturation(found.profile, found.resources)
    line: dict[str, Any] = {"color": FAINT, "linestyle": "--", "linewidth": 1, "zorder": 1}
    axes.plot([0, min(end, top / each)], [0, min(end * each, top)], **line)
    note(axes, 0.6 * min(end, 0.9 * top / each), each, f"{shown(each)} requests/s for each worker")
    cores = counted(found.resources.cores, "core")
    if full < top:
        axes.axhline(full, **line)
        label = f"{cores} busy: {shown(full)} requests/s (without clients on the same machine)"
        axes.annotate(label, (end, full), (0, 4), ha="right", color=FAINT, fontsize=9, **BESIDE)


def note(axes: Any, place: float, slope: float, text: str) -> None:
    """Write a text along a line through the origin."""
    axes.annotate(
        text,
        (place, place * slope),
        (-4, 4),
        rotation=slope_on_screen(axes, slope),
        rotation_mode="anchor",
        ha="center",
        va="bottom",
        color=FAINT,
        fontsize=9,
        **BESIDE,
    )


def slope_on_screen(axes: Any, slope: float) -> float:
    """Return the angle of a slope in this panel, in degrees."""
    width, height = axes.figure.get_size_inches()
    across, up = axes.get_xlim()[1], axes.get_ylim()[1]
    return degrees(atan2(slope / up * height * 0.5, width / across * 0.92))


def draw_knee(axes: Any, found: Conclusions, sizes: Sequence[Size]) -> None:
    """Draw a ring around the knee of the sweep, a line to the axis, and the figures of the knee."""
    knee = at_most(found.best.workers, sizes)
    workers, rate = knee.workers, knee.summary.rate.value
    axes.axvspan(workers, axes.get_xlim()[1], color=KNEE, alpha=0.06, linewidth=0)
    axes.plot([workers, workers], [0, rate], color=KNEE, linewidth=2.5, zorder=2)
    ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 3, "zorder": 4}
    axes.plot([workers], [rate], "o", markersize=20, color=KNEE, **ring)
    if any(size.workers > workers for size in sizes):
        what, then = "the knee", "; more workers do not serve more"
    elif found.resources.room(found.profile) == workers:
        what, then = "the limit of memory", ""
    else:
        what, then = "the largest number tried", ""
    axes.annotate(
        f"{what}: {counted(workers, 'worker')}\n{shown(rate)} requests/s{then}",
        (workers, rate),
        (0.03, 0.94),
        textcoords="axes fraction",
        va="top",
        fontsize=14,
        fontweight="bold",
        color=KNEE,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        zorder=5,
        arrowprops={"arrowstyle": "->", "color": KNEE, "linewidth": 2, "shrinkB": 13},
    )


def draw_latencies(axes: Any, sizes: Sequence[Size]) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    numbers = [size.workers for size in sizes]
    p99, p50 = ([getattr(size.summary, name) for size in sizes] for name in ("p99", "p50"))
    busy = "measured with all workers busy and as many clients waiting"
    axes.plot(numbers, p99, "o-", color=MEASURED, label=f"p99, {busy}")
    axes.plot(numbers, p50, "o:", color=FAINT, markersize=4, label=f"p50, {busy}")
    plotting.logarithmic(axes)
    heights = [height for height in (*p99, *p50) if height]
    axes.set_ylim(min(heights, default=1) / 3, 5 * max(heights, default=1))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_predictions(axes: Any, found: Conclusions, record: TuneRecord) -> None:
    """Draw the predictions and the target, if they are for this machine."""
    if record.requirements.elsewhere:
        return
    if record.requirements.p99 is not None:
        height = 1000 * record.requirements.p99
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, height / 2), max(high, height * 2))
        axes.axhline(height, color=KNEE, linestyle="--", linewidth=1.5)
        end = axes.get_xlim()[1]
        target = f"target: p99 within {in_time(record.requirements.p99)}"
        axes.annotate(target, (end, height), (0, 4), ha="right", color=KNEE, fontsize=10, **BESIDE)
    predictions = sorted(found.predictions.items())
    numbers = [number for number, one in predictions if not one.is_behind(found.rate)]
    axes.plot(
        numbers,
        [1000 * found.predictions[number].p99 for number in numbers],
        "D-",
        color=SIMULATED,
        label=f"p99, simulated at {shown(found.rate)} requests/s",
    )


def mark_lines(axes: Any, found: Conclusions, record: TuneRecord) -> None:
    """Draw the limit of memory, and the advised number if that is not the knee."""
    end = axes.get_xlim()[1]
    if (room := found.resources.room(found.profile)) is not None and room < end:
        axes.axvline(room + 0.5, color=LIMIT, linewidth=2)
        axes.axvspan(room + 0.5, end, hatch="//", facecolor="none", edgecolor=LIMIT, alpha=0.4)
        label = f"memory limit: {counted(room, 'worker')}"
        named(axes, room + 0.5, label, LIMIT)
    taken = found.advice.max_children
    if taken != found.best.workers and taken < end and not record.requirements.elsewhere:
        axes.axvline(taken, color=SIMULATED, linewidth=2.5)
        named(axes, taken, f"advised: {taken:,}", SIMULATED)


def named(axes: Any, place: float, text: str, colour: str) -> None:
    """Write a text along a vertical line."""
    axes.annotate(
        text,
        (place, 0.3),
        (-5, 0),
        xycoords=("data", "axes fraction"),
        rotation=90,
        ha="right",
        va="bottom",
        color=colour,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        **BESIDE,
    )
