"""Parses the arguments that only `prefork tune` takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prefork.cli.measuring.parsing import counts_of

MOST = 500
"""Maximum number of workers to try, unless an option sets it."""
TIMES = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+) *([mu]?s|)")
SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+) *([KMGT]?)(?:i?B)?", re.IGNORECASE)
BOUNDS = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True)
class Goal:
    """The goal: 99 % of requests answered within `p99` seconds; if `None`, maximum throughput."""

    p99: float | None = None


@dataclass(frozen=True)
class Numbers:
    """The numbers of workers to try: those listed, or any between two bounds."""

    least: int = 1
    most: int = MOST
    listed: tuple[int, ...] = ()

    def __contains__(self, workers: int) -> bool:
        return workers in self.listed if self.listed else self.least <= workers <= self.most


THROUGHPUT = Goal()
ANY = Numbers()


def goal_of(text: str) -> Goal:
    """Parse `throughput` or `p99=50ms`.

    Errors: `ValueError`.
    """
    if text == "throughput":
        return THROUGHPUT
    name, _, duration = text.partition("=")
    found = DURATION.fullmatch(duration.strip().lower())
    if name.strip() != "p99" or found is None or not float(found[1]):
        raise ValueError("it must be throughput, or p99 with a time, such as p99=50ms.")
    return Goal(float(found[1]) * TIMES[found[2]])


def numbers_of(text: str) -> Numbers:
    """Parse two bounds, `2-64`, or a list, `1,2,4`.

    Errors: `ValueError`.
    """
    if (bounds := BOUNDS.fullmatch(text.strip())) is not None:
        least, most = int(bounds[1]), int(bounds[2])
        if not 1 <= least <= most:
            raise ValueError(
                "it must be two whole numbers >= 1, the smaller one first, such as 2-64."
            )
        return Numbers(least, most)
    listed = counts_of(text)
    return Numbers(listed[0], listed[-1], listed)


def memory_of(text: str) -> int:
    """Parse a number of bytes, such as `256G`; K, M, G and T are powers of 1024.

    Errors: `ValueError`.
    """
    found = SIZE.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise ValueError("it must be a number of bytes > 0, such as 512M or 256G.")
    return round(float(found[1]) * SIZES[found[2].upper()])
