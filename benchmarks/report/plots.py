"""The plots of the stored results. Each can be read without the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.harness.paths import RESULTS
from benchmarks.harness.rounds import Spread
from benchmarks.report import drawing
from benchmarks.report.drawing import BAR, FAINT, PREFORK, BarRow
from benchmarks.report.results import (
    ASIDE,
    MeasurementResult,
    Results,
    echo_costs,
    is_prefork,
    stored,
)

COSTS = {
    "lines": "A line on a kept connection",
    "udp": "UDP echo",
    "wsgi": "WSGI request",
    "large": "Answer of 1 MB",
    "waiting": "Handler that waits 10 ms",
    "rpyc": "rpyc: connect and one call",
}
"""The measurements with a chart of the cost of each server, and the title of each chart."""


def plot_all(names: Iterable[str]) -> list[Path]:
    """Draw each plot whose results exist, and return the files."""
    results = stored(names)
    files = []
    for name, draw in PLOTS.items():
        if (drawn := draw(results)) is not None:
            sheet, source = drawn
            drawing.save(sheet, source, RESULTS / name)
            files.append(RESULTS / name)
    return files


Drawn = tuple[Figure, MeasurementResult] | None
"""A sheet and the result whose date and machine it shows; `None` if a result is missing."""


def main_plot(results: Results) -> Drawn:
    """Draw what an echo costs every server, and how data in the master changes that."""
    if "echo" not in results or "heap" not in results:
        return None
    sheet = drawing.sheet(1.4 + BAR * max(len(echo_costs(results)), 8))
    left, right = sheet.subplots(1, 2, width_ratios=(3, 2))
    echo_bars(left, results)
    heap_curves(right, results["heap"], "… with data in the master")
    return sheet, results["echo"]


def strategies_plot(results: Results) -> Drawn:
    """Draw the cost and latency of each strategy, beside those of the other servers."""
    if "strategies" not in results:
        return None
    found = echo_costs(results)
    sheet = drawing.sheet(1.4 + BAR * max(len(found), 6))
    left, right = sheet.subplots(1, 2, width_ratios=(1, 1))
    echo_bars(left, results)
    found.sort(key=lambda one: one.p50.median)
    drawing.titled(
        right, "How long its client waits", "ms, from p50 (dot) to p99 (bar); logarithmic"
    )
    drawing.ranges(
        right,
        [BarRow(one.server, one.p50 * 1e-3, one.is_prefork) for one in found],
        [one.p99.median / 1e3 for one in found],
    )
    return sheet, results["strategies"]


def costs_plot(results: Results) -> Drawn:
    """Draw the cost of other requests, with a chart for each kind."""
    shown = {name: title for name, title in COSTS.items() if name in results}
    if not shown:
        return None
    charts = [(title, cost_rows(results[name])) for name, title in shown.items()]
    pairs = [charts[at : at + 2] for at in range(0, len(charts), 2)]
    heights = [0.9 + BAR * max(len(rows) for _, rows in pair) for pair in pairs]
    sheet = drawing.sheet(sum(heights))
    panels = sheet.subplots(len(pairs), 2, squeeze=False, height_ratios=heights)
    for (left, right), pair in zip(panels, pairs, strict=True):
        right.set_visible(len(pair) == 2)
        most = max(len(rows) for _, rows in pair)
        for axes, (title, rows) in zip((left, right), pair, strict=False):
            drawing.titled(axes, title, "CPU µs of the server for each request, logarithmic")
            drawing.bars(axes, rows, most)
    return sheet, results[next(iter(shown))]


def growth_plot(results: Results) -> Drawn:
    """Draw the cost by the number of workers, and by the number of clients."""
    if (growth := results.get("growth")) is None:
        return None
    sheet = drawing.sheet(3.6)
    left, right = sheet.subplots(1, 2, sharey=True)
    by_workers, by_clients = (by_count(growth, unit) for unit in ("worker", "client"))
    drawing.titled(left, "What an echo costs, by workers", "workers (16 clients)")
    drawing.curve(left, by_workers, PREFORK)
    ends = [(list(by_workers.values())[-1].median, "prefork, order fifo", PREFORK)]
    for name, colour in (("order lifo", PREFORK), ("C prefork", FAINT)):
        costs = {
            float(list(by_workers).index(count)): value.median
            for count, value in by_count(growth, "worker", f"{name}, ").items()
        }
        drawing.thin_curve(left, costs, colour)
        last = list(costs.values())[-1]
        ends.append((last, f"{drawing.short(last)} {name}", colour))
    left.set_xlim(right=len(by_workers) + 0.8)
    drawing.titled(right, "What an echo costs, by clients", "clients (4 workers)")
    drawing.curve(right, by_clients, PREFORK)
    right.tick_params(labelleft=True)
    left.set_ylim(0, 1.25 * max(one.high for one in (*by_workers.values(), *by_clients.values())))
    drawing.name_ends(left, len(by_workers) - 1, ends)
    drawing.unit_at_left(left, "CPU µs of the server for each request")
    return sheet, growth


def by_count(growth: MeasurementResult, unit: str, prefix: str = "") -> dict[float, Spread]:
    """Return the cost in µs by the number in a server's name, `[prefix]NUMBER unit(s)`."""
    found = {}
    for server in growth.servers:
        count, _, counted = server.removeprefix(prefix).partition(" ")
        if server.startswith(prefix) and count.isdigit() and counted.startswith(unit):
            found[float(count)] = growth.spread(server, "cost") * 1e6
    return found


def heap_plot(results: Results) -> Drawn:
    """Draw the cost by the memory of the master."""
    if (heap := results.get("heap")) is None:
        return None
    sheet = drawing.sheet(3.8, drawing.WIDE * 0.6)
    heap_curves(sheet.subplots(), heap, "What an echo costs with data in the master")
    return sheet, heap


def memory_plot(results: Results) -> Drawn:
    """Draw the PSS of a pool by its size, by the touched share, and by where objects are built."""
    if (memory := results.get("memory")) is None:
        return None
    pss: dict[str, dict[str, dict[str, float]]] = memory.content["pss_mb"]
    by_size = next(iter(pss.values()))
    shares = list(next(iter(by_size.values())))
    sheet = drawing.sheet(4.2)
    panels = sheet.subplots(1, len(shares), sharey=True)
    for axes, share in zip(panels, shares, strict=True):
        drawing.titled(axes, f"150 MB of objects, {share} % touched", "workers")
        drawing.groups(
            axes,
            list(by_size),
            {way: [weights[size][share] for size in by_size] for way, weights in pss.items()},
        )
    panels[0].margins(y=0.12)
    drawing.unit_at_left(panels[0], "MB of the whole pool (PSS)")
    panels[0].legend(frameon=False, loc="upper left", fontsize=drawing.SMALL)
    return sheet, memory


def cost_rows(result: MeasurementResult) -> list[BarRow]:
    """Return a bar for each server, the cheapest first."""
    rows = [
        BarRow(server, result.spread(server, "cost") * 1e6, is_prefork(server))
        for server in result.servers
        if server not in ASIDE
    ]
    return sorted(rows, key=lambda row: row.value.median)


def echo_bars(axes: Axes, results: Results) -> None:
    found = echo_costs(results)
    least = found[0].cost.median
    rows = [
        BarRow(one.server, one.cost * 1e6, one.is_prefork, f"  ({times(one.cost.median / least)})")
        for one in found
    ]
    drawing.titled(axes, "What an echo costs the server", "CPU µs for each request, logarithmic")
    drawing.bars(axes, rows)


def times(ratio: float) -> str:
    return f"{ratio:.1f} ×" if ratio < 10 else f"{ratio:,.0f} ×"


def heap_curves(axes: Axes, heap: MeasurementResult, title: str) -> None:
    """Draw a curve for each server, with its name at the end."""
    drawing.titled(axes, title, "MB of small objects")
    drawing.unit_at_left(axes, "CPU µs for each request, logarithmic")
    curves: dict[str, dict[float, str]] = {}
    for name in heap.servers:
        server, _, size = name.rpartition(", ")
        curves.setdefault(server, {})[float(size.split()[0])] = name
    for server, names in curves.items():
        points = {size: heap.spread(name, "cost") * 1e6 for size, name in names.items()}
        colour = PREFORK if is_prefork(server) else FAINT
        drawing.curve(axes, points, colour)
        drawing.name_above(axes, points, colour, server)
    sizes = max(curves.values(), key=len)
    axes.set_xticks(range(len(sizes)), [f"{size:,g}" for size in sizes])
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, high * 4)  # room for the names
    axes.margins(x=0.18)
    drawing.plain_ticks(axes.yaxis)


PLOTS: dict[str, Callable[[Results], Drawn]] = {
    "main.png": main_plot,
    "strategies.png": strategies_plot,
    "costs.png": costs_plot,
    "growth.png": growth_plot,
    "heap.png": heap_plot,
    "memory.png": memory_plot,
}
