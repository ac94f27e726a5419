"""The input of a simulation: a pool, its machine, and its load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from prefork.policies.sizing.base import Sizing
from prefork.settings import IdleOrder
from prefork.simulation.arrivals import Closed, Open

TCP_RETRIES = (1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds after which a client's kernel tries again to connect, each counted from the previous try.
Since Linux 6.5, the first ones are one second apart (`tcp_syn_linear_timeouts` and
`tcp_syn_retries` in the kernel's ip-sysctl)."""


class Service(NamedTuple):
    """The time that one request takes of its worker, in seconds."""

    cpu: float
    wait: float
    """The time spent waiting for a database, a disk, another server."""


Services = Sequence[Service] | Callable[[Random], Service]
"""Measured services, from which one is drawn for each request, or a function that draws one."""


class ScenarioError(ValueError):
    """A scenario that cannot be played; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A pool, its machine, and its load.

    Errors: `ScenarioError` for values that cannot be played.
    """

    arrivals: Open | Closed
    services: Services
    workers: int | Sizing
    """The number of workers, or the policy that decides it at each look."""
    cores: float
    """The number of cores that the pool may use; may be fractional, as with a quota."""
    slice: float | None = None
    """Seconds for which a process keeps a core while others wait; `None`: a tick of the kernel."""
    seconds: float
    """Seconds during which requests arrive. All requests that have arrived are served."""
    threads: int = 1
    """Maximum number of requests in flight in a worker; 0: no limit."""
    switch_interval: float = 0.005
    """Seconds after which the interpreter switches from one of a worker's threads to another that
    can run; the default is CPython's (`sys.setswitchinterval()`)."""
    idle_order: IdleOrder = "fifo"
    backlog: int = 1024
    """The backlog as in listen(2); one more connection than this can wait."""
    retries: Sequence[float] = TCP_RETRIES
    """Seconds after which a client that was turned away tries again, each counted from the previous
    try; after the last one, the request is lost. Empty for clients that do not retry (Unix
    sockets)."""
    overhead: float = 0.0
    """CPU seconds that a request takes in its worker outside the handler: in server and kernel."""
    client_cpu: float = 0.0
    """CPU seconds that a client uses on the same cores before it sends a request."""
    start_time: float = 0.05
    """Seconds from fork to ready. The first workers are ready from the beginning."""
    memory: int | None = None
    """Bytes that all workers together may use; `None`: no limit."""
    memory_of_worker: int = 0
    warm_up: float = 0.0
    """Seconds at the beginning that the figures exclude."""
    seed: int = 0

    def __post_init__(self) -> None:
        spans = (self.overhead, self.client_cpu, self.start_time, *self.retries)
        measured = () if callable(self.services) else self.services
        think = self.arrivals.think if isinstance(self.arrivals, Closed) else 0.0
        for wrong, sentence in (
            (not self.cores > 0, "cores must be > 0."),
            (
                isinstance(self.workers, int) and self.workers < 1,
                "workers must be >= 1, or a policy.",
            ),
            (self.threads < 0, "threads must be >= 1, or 0 for no limit."),
            (not self.switch_interval > 0, "switch_interval must be > 0."),
            (self.backlog < 0, "backlog must be >= 0."),
            (self.slice is not None and not self.slice > 0, "slice must be > 0."),
            (min(spans) < 0, "overhead, client_cpu, start_time and retries must be >= 0."),
            (not callable(think) and think < 0, "The pauses of clients must be >= 0."),
            (
                not 0 <= self.warm_up < self.seconds,
                "warm_up must be >= 0 and less than seconds.",
            ),
            (not callable(self.services) and not measured, "services must not be empty."),
            (
                any(min(each) < 0 for each in measured),
                "The times of a service must be >= 0.",
            ),
        ):
            if wrong:
                raise ScenarioError(sentence)
