"""The common style of all pictures: figure, panels, colours and saving, with matplotlib."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLACK, BLUE, SKY, GREEN = "#222222", "#0072B2", "#56B4E9", "#009E73"
ORANGE, RED, PINK = "#E69F00", "#D55E00", "#CC79A7"
GREY, LIGHT_GREY = "#6B6B6B", "#ABABAB"
GRID = "#E0E0E0"

SIZE = (12, 12)
"""Width and height in inches, at 100 pixels per inch."""
TITLE = 110
"""Maximum number of characters in a line of the title."""


def new_picture() -> Any:
    """Return an empty figure that does not need a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(figsize=SIZE, dpi=100, layout="constrained")
    FigureCanvasAgg(picture)
    return picture


def style(axes: Any, title: str) -> None:
    """Set the title, the frame and the grid of a panel."""
    axes.set_title(title, loc="left", fontsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)


def logarithmic(axes: Any) -> None:
    """Make the vertical axis logarithmic, with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")


def save(picture: Any, file: Path, title: str, footer: str) -> None:
    """Add the title, wrapped, and the footer, and write the PNG."""
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, TITLE)]
    picture.suptitle("\n".join(lines), fontsize=12, fontweight="bold", x=0.01, ha="left")
    picture.supxlabel(footer, fontsize=9, color=GREY)
    picture.savefig(file)
