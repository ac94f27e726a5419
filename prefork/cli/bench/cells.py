"""What is compared: strategies by numbers of workers, each pair a cell of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prefork.advice.phrasing import counted

STRATEGIES: Mapping[str, Callable[[int], dict[str, object]]] = {
    "accept": lambda workers: {},
    "accept-lifo": lambda workers: {"idle_order": "lifo"},
    "handoff": lambda workers: {"strategy": "handoff"},
    "reuseport": lambda workers: {"strategy": "reuseport"},
    "fork": lambda workers: {"strategy": "fork"},
    "fork-ahead": lambda workers: {"strategy": "fork", "fork_ahead": workers},
}
"""The settings of each, for so many workers; the simpler ones first."""
PLAIN: dict[str, object] = {
    "strategy": "accept",
    "idle_order": "fifo",
    "fork_ahead": 0,
    "sizing": "static",
}
"""What they are put over, whatever a server class has chosen."""
KINDS = {
    "tcp": "TCPServer",
    "udp": "UDPServer",
    "unix": "UnixStreamServer",
    "unixgram": "UnixDatagramServer",
}
REFERENCES = ("Forking", "Threading")
"""Mix-ins of the standard library that a request handler is served with for comparison."""


@dataclass(frozen=True)
class Cell:
    """One server to measure; `workers` is 0 for one of the standard library's, a reference."""

    strategy: str
    workers: int = 0

    @property
    def is_reference(self) -> bool:
        return not self.workers

    @property
    def title(self) -> str:
        if self.is_reference:
            return self.strategy
        return f"{self.strategy} with {counted(self.workers, 'worker')}"

    @property
    def simplicity(self) -> tuple[int, int]:
        """What is simpler comes first: by strategy, then by the number of workers."""
        return list(STRATEGIES).index(self.strategy), self.workers

    @property
    def settings(self) -> dict[str, object]:
        return PLAIN | STRATEGIES[self.strategy](self.workers)


def default_counts(cores: int) -> list[int]:
    """Numbers of workers around that of the cores; above it, for handlers that wait."""
    return sorted({1, max(1, cores // 2), cores, 2 * cores, 4 * cores})


def cells_of(
    strategies: Sequence[str], counts: Sequence[int], scheme: str
) -> tuple[list[Cell], str]:
    """The cells, strategy by strategy, and a sentence about those that do not fit, or nothing.

    The references come last; no cell at all when no strategy fits.
    """
    fitting = [name for name in strategies if name != "reuseport" or scheme in ("tcp", "udp")]
    cells = [Cell(name, workers) for name in fitting for workers in counts]
    if cells:
        cells += [Cell(f"{mixin}{KINDS[scheme]}") for mixin in REFERENCES]
    if len(fitting) == len(strategies):
        return cells, ""
    return cells, "reuseport is left out: it needs a TCP or UDP port."
