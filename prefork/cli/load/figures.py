"""Arithmetic of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles


def percentiles(took: Sequence[float]) -> tuple[float, float]:
    """Milliseconds that half of the exchanges, and 99 % of them, took at most; 0 for none."""
    if len(took) < 2:
        took = [*took, *took] or [0.0, 0.0]
    cuts = quantiles(took, n=100, method="inclusive")
    return cuts[49] * 1000, cuts[98] * 1000
