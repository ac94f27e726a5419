"""Computes the rate of exchanges while the load is steady."""

from __future__ import annotations

from collections.abc import Sequence


def steady(
    spans: Sequence[tuple[float, float]], clients: int, start: float, end: float
) -> tuple[float, list[float]]:
    """Return the exchanges per second, and the seconds that each took.

    `spans` are the times at which each exchange began and ended. They are counted until `end`, from
    `start` or, if later, from the moment when each of the clients has had its first answer (before
    that the queue still grows). Of an exchange across an edge, the part inside counts: counting
    whole exchanges would favour those that happen to end in time. If there is no such interval, all
    exchanges count, from the first beginning to the last end.
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
