"""The orders to client processes and their answers, each of which is one line of JSON."""

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
    """One request and its answer, as every client performs them.

    Over a stream, the answer extends to the end of the stream; the answer to a datagram is one
    datagram.
    """

    request: bytes = b""
    datagrams: bool = False
    half_close: bool = True
    """Whether to shut down the writing side of the stream after the request."""
    ends_with: bytes = b""
    """The bytes with which each answer must end."""
    may_be_empty: bool = False


@dataclass(frozen=True)
class Order:
    """Keep `clients` exchanges in progress for `warm_up` and then `seconds`.

    If both are 0, each client performs one exchange. Exchanges in progress at the end are
    completed.
    """

    address: Any
    """The address of a server: host and port, or the path of a Unix socket."""
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
        """Split the order among processes; a process without clients gets no order."""
        least, more = divmod(self.clients, processes)
        shares = [least + (n < more) for n in range(processes)]
        return [replace(self, clients=share) for share in shares if share]


@dataclass(frozen=True)
class Measured:
    """The result of an order."""

    latencies: Histogram = field(default_factory=Histogram)
    """Latencies of the exchanges that succeeded while the load was steady; see
    `steady.steady()`."""
    rate: float = 0.0
    """The number of these per second."""
    exchanges: int = 0
    """The number of all exchanges that succeeded."""
    failures: int = 0
    reason: str = ""
    """Why the first of them failed; possibly a whole traceback."""
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
        """Combine what two processes measured at the same time."""
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
    """Measures the part of a core that this process has used since the clock was created."""

    def __init__(self) -> None:
        self._began = time.monotonic(), time.process_time()

    @property
    def busy(self) -> float:
        elapsed = time.monotonic() - self._began[0]
        return (time.process_time() - self._began[1]) / elapsed if elapsed else 0.0


@dataclass
class Recorder:
    """Records the exchanges of one process during an order; times are `time.perf_counter()`."""

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
        """Make a recorder for an order that begins now."""
        start = time.perf_counter() + order.warm_up
        return cls(order.clients, start, start + order.seconds)

    @property
    def is_hopeless(self) -> bool:
        """Whether there were so many failures that more would not tell anything new."""
        return self.failures >= self.MOST_FAILURES

    def served(self, began: float, now: float, received: int) -> None:
        self.spans.append((began, now))
        self.received += received

    def failed(self, reason: str) -> None:
        self.failures += 1
        self.reason = self.reason or reason

    def measured(self, now: float, busy: float) -> Measured:
        """Return the result, when no exchange is in progress."""
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
