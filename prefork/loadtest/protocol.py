"""What is asked of client processes, and what they have measured: a line of JSON each."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from prefork.loadtest.figures import steady

PATIENCE = 10.0
"""Seconds after which an answer that has not come counts as a failure."""


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as every client does them.

    Over a stream the answer goes to the end of the stream; a datagram is answered by one.
    """

    request: bytes = b""
    datagrams: bool = False
    half_close: bool = True
    """Whether the end of the request is shown by shutting the writing side of the stream down."""
    ends_with: bytes = b""
    """How each answer must end."""
    may_be_empty: bool = False


@dataclass(frozen=True)
class Order:
    """Keep `clients` exchanges going for `warm_up` and then `seconds`; with 0 for both, one each.

    What is under way then is waited for.
    """

    address: Any
    """As a server has it: host and port, or the path of a Unix socket."""
    clients: int
    warm_up: float = 0.0
    seconds: float = 0.0
    exchange: Exchange = Exchange()

    def line(self) -> str:
        said = asdict(self)
        for name in ("request", "ends_with"):
            said["exchange"][name] = said["exchange"][name].decode("latin-1")
        return json.dumps(said)

    @classmethod
    def of(cls, line: str) -> Order:
        said = json.loads(line)
        for name in ("request", "ends_with"):
            said["exchange"][name] = said["exchange"][name].encode("latin-1")
        if isinstance(said["address"], list):
            said["address"] = tuple(said["address"])
        return cls(**said | {"exchange": Exchange(**said["exchange"])})

    def shared_by(self, processes: int) -> list[Order]:
        """An order for each of so many processes at most, none for nothing."""
        least, more = divmod(self.clients, processes)
        shares = [least + (n < more) for n in range(processes)]
        return [replace(self, clients=share) for share in shares if share]


@dataclass(frozen=True)
class Measured:
    """What came of an order."""

    took: Sequence[float] = ()
    """Seconds that each exchange took which ended well; see `figures.steady()`."""
    rate: float = 0.0
    """How many of these there were in a second."""
    exchanges: int = 0
    """All that ended well."""
    failures: int = 0
    reason: str = ""
    """Why the first of them failed; may be a whole traceback."""
    received: int = 0
    """Bytes of all answers."""
    busy: float = 0.0
    """The part of a core that the busiest process of clients used."""

    def line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, line: str) -> Measured:
        return cls(**json.loads(line))

    def __add__(self, other: Measured) -> Measured:
        """What processes have measured at the same time."""
        return Measured(
            took=[*self.took, *other.took],
            rate=self.rate + other.rate,
            exchanges=self.exchanges + other.exchanges,
            failures=self.failures + other.failures,
            reason=self.reason or other.reason,
            received=self.received + other.received,
            busy=max(self.busy, other.busy),
        )


class BusyClock:
    """Since it was made: the part of a core that this process has used."""

    def __init__(self) -> None:
        self._began = time.monotonic(), time.process_time()

    @property
    def busy(self) -> float:
        elapsed = time.monotonic() - self._began[0]
        return (time.process_time() - self._began[1]) / elapsed if elapsed else 0.0


@dataclass
class Recorder:
    """Notes of one process while it obeys an order; times are those of `time.perf_counter()`."""

    clients: int
    start: float
    """The end of the warm-up."""
    end: float
    spans: list[tuple[float, float]] = field(default_factory=list)
    """When each exchange that ended well began, and ended."""
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
    def hopeless(self) -> bool:
        """Whether there were so many failures that more would say nothing new."""
        return self.failures >= self.MOST_FAILURES

    def served(self, began: float, now: float, received: int) -> None:
        self.spans.append((began, now))
        self.received += received

    def failed(self, reason: str) -> None:
        self.failures += 1
        self.reason = self.reason or reason

    def measured(self, now: float, busy: float) -> Measured:
        """The sum, at a time when nothing is under way any more."""
        rate, took = steady(self.spans, self.clients, self.start, min(now, self.end))
        return Measured(
            took=[round(each, 6) for each in took],
            rate=rate,
            exchanges=len(self.spans),
            failures=self.failures,
            reason=self.reason,
            received=self.received,
            busy=busy,
        )
