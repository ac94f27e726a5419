"""The plots, from the results that there are. Each can be read without the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Sheet

from benchmarks.drawing import (
    BAR,
    BESIDE,
    FAINT,
    INK,
    OURS,
    PEERS,
    SECOND,
    SMALL,
    WIDE,
    Row,
    aside,
    bars,
    curve,
    in_full,
    logarithmic,
    name_above,
    name_ends,
    name_rows,
    short,
    signed,
    titled,
)
from benchmarks.output import RESULTS
from benchmarks.stored import ASIDE, Figure, Result, Results, is_ours, standings, stored

DOTS_PER_INCH = 130
COSTS = {
    "lines": "A line on a kept connection",
    "udp": "UDP echo",
    "wsgi": "WSGI request",
    "large": "Answer of 1 MB",
    "waiting": "Handler that waits 10 ms",
    "rpyc": "rpyc: connect and one call",
}
"""The measurements whose cost is shown server by server, and what a request is there."""


def plot_all(names: Iterable[str]) -> list[Path]:
    """Draw each plot for which there are results; the files."""
    results = stored(names)
    files = []
    for name, draw in PLOTS.items():
        if (sheet := draw(results)) is not None:
            FigureCanvasAgg(sheet)
            sheet.savefig(RESULTS / name, dpi=DOTS_PER_INCH)
            files.append(RESULTS / name)
    return files


def main_plot(results: Results) -> Sheet | None:
    """What an echo costs every server; and what memory in the master does to that."""
    if "echo" not in results or "heap" not in results:
        return None
    sheet = Sheet(figsize=(WIDE, 1.4 + BAR * max(len(standings(results)), 8)), layout="constrained")
    left, right = sheet.subplots(1, 2, width_ratios=(3, 2))
    echo_bars(left, results)
    heap_curves(right, results["heap"], "… with data in the master")
    signed(sheet, results["echo"])
    return sheet


def strategies_plot(results: Results) -> Sheet | None:
    """Cost and latency of each strategy beside the other servers'."""
    if "strategies" not in results:
        return None
    found = standings(results)
    sheet = Sheet(figsize=(WIDE, 1.4 + BAR * max(len(found), 6)), layout="constrained")
    left, right = sheet.subplots(1, 2, width_ratios=(1, 1))
    echo_bars(left, results)
    found.sort(key=lambda one: one.p50.median)
    titled(right, "How long its client waits", "ms, from p50 (dot) to p99 (bar); logarithmic")
    name_rows(right, [Row(one.server, one.p50, one.ours) for one in found])
    for place, one in enumerate(found):
        p50, p99 = one.p50.median / 1e3, one.p99.median / 1e3
        colour = OURS if one.ours else PEERS
        right.plot((p50, p99), (place, place), color=colour, linewidth=2.5)
        right.plot(p50, place, "o", color=colour)
        right.plot(p99, place, "|", color=colour, markersize=10, markeredgewidth=2.5)
        right.annotate(
            f"{p50:.3g} … {p99:.3g}", (p99, place), (7, 0), **BESIDE, color=INK, fontsize=SMALL
        )
    latencies = [figure.median / 1e3 for one in found for figure in (one.p50, one.p99)]
    logarithmic(right, latencies)
    signed(sheet, results["strategies"])
    return sheet


def costs_plot(results: Results) -> Sheet | None:
    """The cost of other requests, a panel for each kind."""
    shown = {name: title for name, title in COSTS.items() if name in results}
    if not shown:
        return None
    charts = [(title, cost_rows(results[name])) for name, title in shown.items()]
    pairs = [charts[at : at + 2] for at in range(0, len(charts), 2)]
    heights = [0.9 + BAR * max(len(rows) for _, rows in pair) for pair in pairs]
    sheet = Sheet(figsize=(WIDE, sum(heights)), layout="constrained")
    panels = sheet.subplots(len(pairs), 2, squeeze=False, height_ratios=heights)
    for (left, right), pair in zip(panels, pairs, strict=True):
        right.set_visible(len(pair) == 2)
        for axes, (title, rows) in zip((left, right), pair, strict=False):
            titled(axes, title, "CPU µs of the server for each request, logarithmic")
            bars(axes, rows)
            axes.set_ylim(max(len(rows) for _, rows in pair) - 0.4, -0.6)
    signed(sheet, results[next(iter(shown))])
    return sheet


def growth_plot(results: Results) -> Sheet | None:
    """Cost by the number of workers, and of clients."""
    if (growth := results.get("growth")) is None:
        return None
    sheet = Sheet(figsize=(WIDE, 3.6), layout="constrained")
    left, right = sheet.subplots(1, 2, sharey=True)
    by_workers, by_clients = (by_count(growth, unit) for unit in ("worker", "client"))
    titled(left, "What an echo costs, by workers", "workers (16 clients)")
    curve(left, by_workers, OURS)
    ends = [(list(by_workers.values())[-1].median, "prefork, order fifo", OURS)]
    for name, colour in (("order lifo", OURS), ("C prefork", FAINT)):
        costs = {
            float(list(by_workers).index(count)): value.median
            for count, value in by_count(growth, "worker", f"{name}, ").items()
        }
        aside(left, costs, colour)
        last = list(costs.values())[-1]
        ends.append((last, f"{short(last)} {name}", colour))
    left.set_xlim(right=len(by_workers) + 0.8)
    titled(right, "What an echo costs, by clients", "clients (4 workers)")
    curve(right, by_clients, OURS)
    right.tick_params(labelleft=True)
    left.set_ylim(0, 1.25 * max(one.high for one in (*by_workers.values(), *by_clients.values())))
    name_ends(left, len(by_workers) - 1, ends)
    left.set_ylabel("CPU µs of the server for each request", fontsize=SMALL, color=FAINT)
    signed(sheet, growth)
    return sheet


def by_count(growth: Result, unit: str, prefix: str = "") -> dict[float, Figure]:
    """The cost in µs by the number in a server's name, which is `[prefix]NUMBER unit(s)`."""
    found = {}
    for server in growth.servers:
        count, _, counted = server.removeprefix(prefix).partition(" ")
        if server.startswith(prefix) and count.isdigit() and counted.startswith(unit):
            found[float(count)] = growth.figure(server, "cost") * 1e6
    return found


def heap_plot(results: Results) -> Sheet | None:
    """Cost by the memory in the master."""
    if (heap := results.get("heap")) is None:
        return None
    sheet = Sheet(figsize=(WIDE * 0.6, 3.8), layout="constrained")
    heap_curves(sheet.subplots(), heap, "What an echo costs with data in the master")
    signed(sheet, heap)
    return sheet


def memory_plot(results: Results) -> Sheet | None:
    """PSS of the pool by its size, by the share that is touched, and by the way it is shared."""
    if (memory := results.get("memory")) is None:
        return None
    pss: dict[str, dict[str, dict[str, float]]] = memory.content["pss_mb"]
    first = next(iter(pss.values()))
    sizes, parts = list(first), list(next(iter(first.values())))
    sheet = Sheet(figsize=(WIDE, 4.2), layout="constrained")
    panels = sheet.subplots(1, len(parts), sharey=True)
    thickness = 0.84 / len(pss)
    for axes, part in zip(panels, parts, strict=True):
        titled(axes, f"150 MB of objects, {part} % touched", "workers")
        for number, (way, colour) in enumerate(zip(pss, (PEERS, OURS, SECOND), strict=False)):
            for place, size in enumerate(sizes):
                value = pss[way][size][part]
                middle = place + (number - (len(pss) - 1) / 2) * thickness
                axes.bar(
                    middle, value, thickness * 0.9, color=colour, label=way if not place else ""
                )
                axes.annotate(
                    f"{value:,.0f}",
                    (middle, value),
                    (0, 3),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    rotation=90,
                    color=INK,
                    fontsize=7.5,
                )
        axes.set_xticks(range(len(sizes)), sizes)
        axes.tick_params(bottom=False)
    panels[0].margins(y=0.12)
    panels[0].set_ylabel("MB of the whole pool (PSS)", fontsize=SMALL, color=FAINT)
    panels[0].legend(frameon=False, loc="upper left", fontsize=SMALL)
    signed(sheet, memory)
    return sheet


def cost_rows(result: Result) -> list[Row]:
    """A bar for each server, the cheapest first."""
    rows = [
        Row(server, result.figure(server, "cost") * 1e6, is_ours(server))
        for server in result.servers
        if server not in ASIDE
    ]
    return sorted(rows, key=lambda row: row.value.median)


def echo_bars(axes: Axes, results: Results) -> None:
    found = standings(results)
    least = found[0].cost.median
    rows = [
        Row(one.server, one.cost * 1e6, one.ours, f"  ({times(one.cost.median / least)})")
        for one in found
    ]
    titled(axes, "What an echo costs the server", "CPU µs for each request, logarithmic")
    bars(axes, rows)


def times(ratio: float) -> str:
    return f"{ratio:.1f} ×" if ratio < 10 else f"{ratio:,.0f} ×"


def heap_curves(axes: Axes, heap: Result, title: str) -> None:
    """A curve for each server, with its name at the end."""
    titled(axes, title, "MB of small objects")
    axes.set_ylabel("CPU µs for each request, logarithmic", fontsize=SMALL, color=FAINT)
    curves: dict[str, dict[float, str]] = {}
    for name in heap.servers:
        server, _, size = name.rpartition(", ")
        curves.setdefault(server, {})[float(size.split()[0])] = name
    for server, names in curves.items():
        points = {size: heap.figure(name, "cost") * 1e6 for size, name in names.items()}
        colour = OURS if is_ours(server) else FAINT
        curve(axes, points, colour)
        name_above(axes, points, colour, server)
    sizes = max(curves.values(), key=len)
    axes.set_xticks(range(len(sizes)), [f"{size:,g}" for size in sizes])
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, high * 4)  # for the names
    axes.margins(x=0.18)
    in_full(axes.yaxis)


PLOTS: dict[str, Callable[[Results], Sheet | None]] = {
    "main.png": main_plot,
    "strategies.png": strategies_plot,
    "costs.png": costs_plot,
    "growth.png": growth_plot,
    "heap.png": heap_plot,
    "memory.png": memory_plot,
}
