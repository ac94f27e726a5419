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


def steady(
    spans: Sequence[tuple[float, float]], clients: int, start: float, end: float
) -> tuple[float, list[float]]:
    """Exchanges per second, and the seconds that each took, by when each began and ended.

    They are counted until `end`, from `start` or from when each of so many clients has been
    answered once, for until then the queue still grows. Of an exchange on the edge, the part within
    counts: counting whole ones would favour those which happen to end in time. Where there is no
    such while, all of them count, from the first beginning to the last end.
    """
    if not spans:
        return 0.0, []
    start = max(start, *(ended for _, ended in sorted(spans)[:clients]))
    if start < end:
        within = ((min(end, to) - max(start, since)) / (to - since) for since, to in spans)
        rate = sum(part for part in within if part > 0) / (end - start)
        return rate, [ended - began for began, ended in spans if ended > start]
    whole = max(ended for _, ended in spans) - min(began for began, _ in spans)
    return len(spans) / whole, [ended - began for began, ended in spans]
