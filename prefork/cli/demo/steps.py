"""The steps of the demo: who serves, with how many workers, and what came of it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from prefork.cli.demo.highlight import END, sample
from prefork.loadtest.drivers import Drivers, Progress
from prefork.loadtest.figures import percentiles
from prefork.loadtest.processes import ChildFailed, child
from prefork.loadtest.protocol import Exchange, Order

SERVERS = "prefork.cli.demo.contenders"
POOL = "PreforkTCPServer"
DOCUMENTED = ("ForkingTCPServer", "ThreadingTCPServer")
ROUNDS = 3
"""Times that each step has its turn: what else the machine does meanwhile then hits all alike."""
IN_ALL = 20.0
"""Seconds for all steps together, unless a step's length is given."""
LONGEST = 5.0
WARM_UP = 0.2


@dataclass(frozen=True)
class Step:
    """One server to measure; `workers` is 0 where the server has no such number."""

    kind: str
    workers: int = 0

    @property
    def title(self) -> str:
        if not self.workers:
            return self.kind
        return f"pool of {self.workers} worker{'s' * (self.workers > 1)}"


@dataclass(frozen=True)
class Result:
    """What was measured: answers per second; milliseconds that half, and 99 % of them, took."""

    step: Step
    rate: float
    p50: float
    p99: float
    failures: int

    @classmethod
    def of(cls, step: Step, took: Sequence[float], rates: Sequence[float], failures: int) -> Result:
        return cls(step, fmean(rates), *percentiles(took), failures)


def worker_counts(cores: int) -> list[int]:
    """1, 2, 3, 4, then twice as many each time, and all cores at last."""
    counts = [n for n in (1, 2, 3, 4) if n <= cores]
    while counts[-1] * 2 <= cores:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == cores else [*counts, cores]


def steps(cores: int) -> list[Step]:
    pools = [Step(POOL, workers) for workers in worker_counts(cores)]
    return [*pools, *map(Step, DOCUMENTED)]


def length_of(count: int) -> float:
    """Seconds for each of so many steps."""
    return min(LONGEST, IN_ALL / count)


class Contender:
    """One step's server, running, and what its clients have measured so far."""

    def __init__(self, step: Step, server: subprocess.Popen[str], drivers: Drivers) -> None:
        assert server.stdout is not None
        self.step = step
        self._drivers = drivers
        port = server.stdout.readline().strip()
        if not port:
            raise ChildFailed(f"The server of the step {step.title!r} did not start.")
        self._address = ("127.0.0.1", int(port))
        self._took: list[float] = []
        self._rates: list[float] = []
        self._failures = 0

    def drive(self, clients: int, seconds: float, progress: Progress) -> None:
        """Have so many clients ask for so long; `progress` is told the share of that time.

        Errors: `ChildFailed`.
        """
        order = Order(self._address, clients, WARM_UP, seconds, Exchange(sample(), ends_with=END))
        measured = self._drivers.drive(order, progress)
        self._took += measured.took
        self._rates.append(measured.rate)
        self._failures += measured.failures

    @property
    def result(self) -> Result:
        return Result.of(self.step, self._took, self._rates, self._failures)


@contextlib.contextmanager
def contenders(planned: Sequence[Step], drivers: Drivers) -> Iterator[list[Contender]]:
    """The servers of all steps, which cost nothing while they are not asked.

    Errors: `ChildFailed`.
    """
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(child(SERVERS, s.kind, s.workers)) for s in planned]
        yield [Contender(*pair, drivers) for pair in zip(planned, servers, strict=True)]
