"""The candidates of a comparison, each a strategy with a number of workers, and their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefork.advice.phrasing import counted
from prefork.cli.addresses import Address
from prefork.loadtest.trials import Summary
from prefork.settings import Settings

STRATEGIES: Mapping[str, Callable[[int], dict[str, object]]] = {
    "accept": lambda workers: {},
    "accept-lifo": lambda workers: {"idle_order": "lifo"},
    "handoff": lambda workers: {"strategy": "handoff"},
    "reuseport": lambda workers: {"strategy": "reuseport"},
    "fork": lambda workers: {"strategy": "fork"},
    "fork-ahead": lambda workers: {"strategy": "fork", "fork_ahead": workers},
}
"""The settings of each strategy, given the number of workers; simpler strategies come first."""
PLAIN: dict[str, object] = {
    "strategy": "accept",
    "idle_order": "fifo",
    "fork_ahead": 0,
    "sizing": "static",
}
"""The settings that those above are added to, in place of the server class's own."""
KINDS = {
    "tcp": "TCPServer",
    "udp": "UDPServer",
    "unix": "UnixStreamServer",
    "unixgram": "UnixDatagramServer",
}
REFERENCES = ("Forking", "Threading")
"""Mix-ins of the standard library that serve a request handler for comparison."""


@dataclass(frozen=True)
class Candidate:
    """One server to measure; `workers` is 0 for a reference, a server of the standard library."""

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
    def complexity(self) -> tuple[int, int]:
        """A sort key that puts simpler candidates first: by strategy, then by number of workers."""
        return list(STRATEGIES).index(self.strategy), self.workers

    @property
    def settings(self) -> dict[str, object]:
        return PLAIN | STRATEGIES[self.strategy](self.workers)


@dataclass(frozen=True)
class CandidateResult:
    """The measurements of one candidate."""

    candidate: Candidate
    summary: Summary

    @property
    def has_served(self) -> bool:
        """Whether it served all of its requests, and at least one."""
        return self.summary.rate.value > 0 and not self.summary.failures

    @property
    def was_measured(self) -> bool:
        """Whether it had a trial."""
        return bool(self.summary.requests or self.summary.failures)


def default_counts(cores: int) -> list[int]:
    """Return numbers of workers around the number of cores; larger ones suit handlers that wait."""
    return sorted({1, max(1, cores // 2), cores, 2 * cores, 4 * cores})


def needs_ip_port(strategy: str) -> bool:
    """Return whether the strategy needs a TCP or UDP port."""
    settings: Any = PLAIN | STRATEGIES[strategy](1)
    return Settings(**settings).needs_ip_port


def candidates_of(
    strategies: Sequence[str], counts: Sequence[int], scheme: str
) -> tuple[list[Candidate], str]:
    """Return the candidates, strategy by strategy, and a sentence about strategies left out, or "".

    The references come last. There are no candidates if no strategy fits the kind of server.
    """
    is_ip = Address(scheme).is_ip
    fitting = [name for name in strategies if is_ip or not needs_ip_port(name)]
    candidates = [Candidate(name, workers) for name in fitting for workers in counts]
    if candidates:
        candidates += [Candidate(f"{mixin}{KINDS[scheme]}") for mixin in REFERENCES]
    if len(fitting) == len(strategies):
        return candidates, ""
    return candidates, "reuseport is left out: it needs a TCP or UDP port."
