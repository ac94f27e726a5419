"""Orders to client processes and their answers: one line of JSON each."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from prefork.loadtest.steady import steady
from prefork.state.histogram import Histogram

PATIENCE = 10.0
"""Seconds after which a missing answer counts as a failure."""


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as every client does them.

    Over a stream the answer extends to the end of the stream; a datagram is answered by one.
    """

    request: bytes = b""
    datagrams: bool = False
    half_close: bool = True
    """Whether to shut down the writing side of the stream after the request."""
    ends_with: bytes = b""
    """How each answer must end."""
    may_be_empty: bool = False


@dataclass(frozen=True)
class Order:
    """Keep `clients` exchanges in progress for `warm_up` and then `seconds`; with 0 for both, one
    exchange each.

    What is in progress at the end is waited for.
    """

    address: Any
    """As a server has it: host and port, or the path of a Unix socket."""
    clients: int
    warm_up: float = 0.0
    seconds: float = 0.0
    exchange: Exchange = Exchange()

    def line(self) -> str:
        written = asdict(self)
        for name in ("request", "ends_with"):
            written["exchange"][name] = written["exchange"][name].decode("latin-1")
        return json.dumps(written)

    @classmethod
    def of(cls, line: str) -> Order:
        written = json.loads(line)
        for name in ("request", "ends_with"):
            written["exchange"][name] = written["exchange"][name].encode("latin-1")
        if isinstance(written["address"], list):
            written["address"] = tuple(written["address"])
        return cls(**written | {"exchange": Exchange(**written["exchange"])})

    def shared_by(self, processes: int) -> list[Order]:
        """One order for each of this many processes; no order for a process without clients."""
        least, more = divmod(self.clients, processes)
        shares = [least + (n < more) for n in range(processes)]
        return [replace(self, clients=share) for share in shares if share]


@dataclass(frozen=True)
class Measured:
    """The result of an order."""

    latencies: Histogram = field(default_factory=Histogram)
    """Of the exchanges that succeeded while the load was steady; see `steady.steady()`."""
    rate: float = 0.0
    """How many of these there were in a second."""
    exchanges: int = 0
    """All that succeeded."""
    failures: int = 0
    reason: str = ""
    """Why the first of them failed; may be a whole traceback."""
    received: int = 0
    """Bytes of all answers."""
    busy: float = 0.0
    """The part of a core that the busiest client process used."""

    def line(self) -> str:
        return json.dumps(vars(self) | {"latencies": self.latencies.as_json()})

    @classmethod
    def of(cls, line: str) -> Measured:
        written = json.loads(line)
        return cls(**written | {"latencies": Histogram.from_json(written["latencies"])})

    def __add__(self, other: Measured) -> Measured:
        """What processes measured at the same time."""
        return Measured(
            latencies=self.latencies + other.latencies,
            rate=self.rate + other.rate,
            exchanges=self.exchanges + other.exchanges,
            failures=self.failures + other.failures,
            reason=self.reason or other.reason,
            received=self.received + other.received,
            busy=max(self.busy, other.busy),
        )


class BusyClock:
    """Measures the part of a core that this process has used since the clock was made."""

    def __init__(self) -> None:
        self._began = time.monotonic(), time.process_time()

    @property
    def busy(self) -> float:
        elapsed = time.monotonic() - self._began[0]
        return (time.process_time() - self._began[1]) / elapsed if elapsed else 0.0


@dataclass
class Recorder:
    """Notes of one process while it executes an order; times are those of `time.perf_counter()`."""

    clients: int
    start: float
    """The end of the warm-up."""
    end: float
    spans: list[tuple[float, float]] = field(default_factory=list)
    """When each exchange that succeeded began and ended."""
    failures: int = 0
    reason: str = ""
    received: int = 0

    MOST_FAILURES = 100

    @classmethod
    def of(cls, order: Order) -> Recorder:
        """For an order that begins now."""
        start = time.perf_counter() + order.warm_up
        return cls(order.clients, start, start + order.seconds)

    @property
    def is_hopeless(self) -> bool:
        """Whether there were so many failures that more would say nothing new."""
        return self.failures >= self.MOST_FAILURES

    def served(self, began: float, now: float, received: int) -> None:
        self.spans.append((began, now))
        self.received += received

    def failed(self, reason: str) -> None:
        self.failures += 1
        self.reason = self.reason or reason

    def measured(self, now: float, busy: float) -> Measured:
        """The result, once nothing is in progress any more."""
        rate, took = steady(self.spans, self.clients, self.start, min(now, self.end))
        return Measured(
            latencies=Histogram.of(took),
            rate=rate,
            exchanges=len(self.spans),
            failures=self.failures,
            reason=self.reason,
            received=self.received,
            busy=busy,
        )
