"""Charts, tables and progress in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

WIDEST = 48
"""Characters in the longest bar, if the terminal is wide enough."""
UNLIMITED = 1000
"""A width in characters that no table reaches."""


def bars(title: str, figures: Iterable[tuple[str, str, float, str]], console: Console) -> Table:
    """Return a bar for each (label, colour, figure, figure as text), to scale."""
    block = "#" if console.options.ascii_only else "█"
    listed = list(figures)
    largest = max((figure for _, _, figure, _ in listed), default=0) or 1.0
    beside = max((len(label) + len(text) for label, _, _, text in listed), default=0)
    widest = max(1, min(WIDEST, console.width - beside - 2))
    shown = Table.grid(padding=(0, 1))
    shown.title = title
    shown.title_justify = "left"
    for label, colour, figure, text in listed:
        bar = Text(block * max(1, round(widest * figure / largest)), colour)
        bar.append(f" {text}", "default")
        shown.add_row(label, bar)
    return shown


def fitting(
    table: Callable[[Sequence[str]], Table],
    figures: Sequence[str],
    spared: Sequence[str],
    console: Console,
) -> Table:
    """Return a table with as many of the figures as fit the width of the terminal.

    The `spared` ones are left out one after the other, until the rest fits.
    """
    anything = console.options.update_width(UNLIMITED)
    made = table(figures)
    for count in range(1, len(spared) + 1):
        if console.measure(made, options=anything).maximum <= console.width:
            break
        made = table([figure for figure in figures if figure not in spared[:count]])
    return made


def progress_bar(console: Console) -> Progress:
    """Return a progress bar, shown only on a terminal; it disappears when all is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
