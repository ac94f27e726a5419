"""Formats figures for sentences."""

from __future__ import annotations

SIZES = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


def counted(number: int, what: str) -> str:
    """Format a number of things: `1 worker`, `2 workers`, `1,000 workers`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def shown(figure: float) -> str:
    """Format with three significant digits, or all digits before the point: `51.7`, `12,318`."""
    if figure < 1000:
        figure = float(f"{figure:.3g}")
    if figure >= 100 or not figure:
        return f"{figure:,.0f}"
    if figure >= 10:
        return f"{figure:.1f}"
    return f"{figure:.2f}" if figure >= 1 else f"{figure:.3f}"


def in_time(seconds: float) -> str:
    return f"{shown(seconds)} s" if seconds >= 1 else f"{shown(1000 * seconds)} ms"


def in_bytes(size: float) -> str:
    """Format bytes in powers of 1024, like memory limits."""
    unit, name = next((each for each in SIZES if size >= each[0]), (1, "bytes"))
    return f"{shown(size / unit)} {name}"


def in_percent(share: float) -> str:
    return f"{100 * share:.0f} %"
