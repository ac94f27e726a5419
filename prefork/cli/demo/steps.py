"""The steps of the demo: who serves, with how many workers, and what came of it."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles

from prefork.cli.demo.children import child

SERVERS = "prefork.cli.demo.contenders"
CLIENTS = "prefork.cli.demo.clients"
POOL = "PreforkTCPServer"
DOCUMENTED = ("ForkingTCPServer", "ThreadingTCPServer")
ROUNDS = 3
"""Times that each step has its turn: what else the machine does meanwhile then hits all alike."""
IN_ALL = 20.0
"""Seconds for all steps together, unless a step's length is given."""
LONGEST = 5.0
WARM_UP = 0.2


class StepFailed(RuntimeError):
    """A server or the clients of the demo have ended too early."""


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
    def of(cls, step: Step, took: list[float], seconds: float, failures: int) -> Result:
        if len(took) < 2:
            took = [*took, *took] or [0.0, 0.0]
            rate = len(took) / 2 / seconds if took[0] else 0.0
        else:
            rate = len(took) / seconds
        cuts = quantiles(took, n=100, method="inclusive")
        return cls(step, rate, cuts[49] * 1000, cuts[98] * 1000, failures)


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

    def __init__(self, step: Step, server: subprocess.Popen[str]) -> None:
        assert server.stdout is not None
        self.step = step
        self._port = server.stdout.readline().strip()
        if not self._port:
            raise StepFailed(f"The server of the step {step.title!r} did not start.")
        self._took: list[float] = []
        self._seconds = 0.0
        self._failures = 0

    def drive(self, clients: int, seconds: float, progress: Callable[[float], None]) -> None:
        """Have so many clients ask for so long; `progress` is told the share of that time.

        Errors: `StepFailed`.
        """
        with child(CLIENTS, self._port, clients, WARM_UP, seconds) as driver:
            assert driver.stdout is not None
            began = time.monotonic()
            # The one line of the answer comes at the end; until then the bar moves on.
            while not select.select([driver.stdout], [], [], 0.1)[0]:
                progress(min(1.0, (time.monotonic() - began) / (seconds + WARM_UP)))
            answer = driver.stdout.read()
        if not answer:
            raise StepFailed(f"The clients of the step {self.step.title!r} have failed.")
        measured = json.loads(answer)
        self._took += measured["took"]
        self._seconds += measured["seconds"]
        self._failures += measured["failures"]

    @property
    def result(self) -> Result:
        return Result.of(self.step, self._took, self._seconds, self._failures)


@contextlib.contextmanager
def contenders(planned: Sequence[Step]) -> Iterator[list[Contender]]:
    """The servers of all steps, which cost nothing while they are not asked.

    Errors: `StepFailed`.
    """
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(child(SERVERS, s.kind, s.workers)) for s in planned]
        yield [Contender(step, server) for step, server in zip(planned, servers, strict=True)]
