"""What is simulated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from prefork.policies.sizing.base import Sizing
from prefork.settings import IdleOrder
from prefork.simulation.arrivals import Closed, Open

TCP_RETRIES = (1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds after which a client's kernel tries again to connect, each after the one before. The
first are a second apart since Linux 6.5 (`tcp_syn_linear_timeouts` and `tcp_syn_retries` in the
kernel's ip-sysctl)."""


class Service(NamedTuple):
    """What one request takes of its worker, in seconds."""

    cpu: float
    wait: float
    """For something else than a core: a database, a disk, another server."""


Services = Sequence[Service] | Callable[[Random], Service]
"""Measured ones, of which each request is one at random; or what draws one."""


class ScenarioError(ValueError):
    """A scenario that nothing can come of; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A pool, the machine that it has, and what is asked of it."""

    arrivals: Open | Closed
    services: Services
    workers: int | Sizing
    """A number, or the policy that decides it at each of its looks."""
    cores: float
    """That the pool may use; a part of one if there is a quota."""
    slice: float | None = None
    """Seconds for which one has a core while others wait for it; `None`: a tick of the kernel."""
    seconds: float
    """For which requests come. All that have come are served."""
    threads: int = 1
    """Requests that a worker has in hand at a time; 0: any number."""
    idle_order: IdleOrder = "fifo"
    backlog: int = 1024
    """As in listen(2); one more than this may wait."""
    retries: Sequence[float] = TCP_RETRIES
    """Seconds after which one who was turned away comes again, each after the one before; then the
    request is lost. Empty where the first time is the last (Unix sockets)."""
    overhead: float = 0.0
    """CPU seconds of a request in its worker beside the handler: the server's own, the kernel's."""
    client_cpu: float = 0.0
    """CPU seconds of a request that its client takes from the same cores, before it is sent."""
    start_time: float = 0.05
    """Seconds from fork to ready. The first workers are ready when the time begins."""
    memory: int | None = None
    """Bytes that the workers may have together; `None`: nobody asks."""
    memory_of_worker: int = 0
    warm_up: float = 0.0
    """Seconds at the beginning that the figures leave out."""
    seed: int = 0

    def __post_init__(self) -> None:
        spans = (self.overhead, self.client_cpu, self.start_time, *self.retries)
        measured = () if callable(self.services) else self.services
        think = self.arrivals.think if isinstance(self.arrivals, Closed) else 0.0
        for wrong, sentence in (
            (not self.cores > 0, "There must be a core, or a part of one."),
            (isinstance(self.workers, int) and self.workers < 1, "There must be a worker."),
            (self.threads < 0, "A worker has one thread or more; 0 is any number."),
            (self.backlog < 0, "No fewer than none can wait in the backlog."),
            (self.slice is not None and not self.slice > 0, "A slice of a core must take time."),
            (min(spans) < 0, "Overhead, CPU, spawning and retries take no less than no time."),
            (not callable(think) and think < 0, "Clients cannot pause for less than no time."),
            (not 0 <= self.warm_up < self.seconds, "The warm-up must end before the time does."),
            (not callable(self.services) and not measured, "No service was measured."),
            (any(min(each) < 0 for each in measured), "A service takes less than no time."),
        ):
            if wrong:
                raise ScenarioError(sentence)
