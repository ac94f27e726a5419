"""How a pool follows the load: how soon, how often, how far, and whether clients notice.

All servers log their decisions, and keep a journal of their number of processes. In the first part
all clients of a pool come at once, and leave at once; the handler waits, as for a database.
In the second part the load is constant for a minute. In the third, the handler computes on two
cores. In the last, clients come and go fifty times while one stays, under each strategy.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.calibration import loops_for
from benchmarks.harness.competitors import RunningServer, ServerFailed, own_server
from benchmarks.harness.load_generator import Workload, generate
from benchmarks.harness.probe import using
from benchmarks.harness.progress import bar
from benchmarks.harness.rounds import QUIET, Plan
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import listing

WORKERS = CLIENTS = 8
WAIT = 0.2
COMPUTE = 0.05
CORES = 2
IDLE_TIMEOUT = 5.0
START = 1.5
"""Seconds after its start within which a pool without clients reaches its minimum size."""

LOADED, CONSTANT, SETTLED, COMPUTING = 4.0, 60.0, 15.0, 8.0
"""Seconds of load in each part. The first `SETTLED` seconds of a constant load are not counted."""
WAVES, CREST, TROUGH = 50, 0.4, 0.8
STRATEGIES = "accept", "handoff", "reuseport"
QUICK = {"sizing": "ondemand", "idle_timeout": 0.25, "min_children": 1}
SCALED, SATURATED = "scaled", "saturated"
"""Events in the master's log: the wanted size changes, or more workers would not help."""

MOST_TO_GROW, MOST_TO_SHRINK = 2.0, IDLE_TIMEOUT + 5.0
MOST_CHANGES = 2
PLAN = Plan(rounds=3, seconds=0, clients=CLIENTS)

RANDOM_PAUSES = Workload(think=0.4)
"""A load of clients that pause at random, constant on average."""


@dataclass
class SizeJournal:
    """What a sizing server has noted so far. Times in seconds of the monotonic clock."""

    sizes: list[tuple[float, int]] = field(default_factory=list)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    """The time, event and message of each decision."""
    retired: list[str] = field(default_factory=list)
    """The states of workers when they were chosen to leave."""

    @classmethod
    def read(cls, file: Path) -> SizeJournal:
        journal = cls()
        for line in file.read_text().splitlines():
            note: dict[str, Any] = json.loads(line)
            if "size" in note:
                journal.sizes.append((note["at"], note["size"]))
            elif "event" in note:
                journal.log.append((note["at"], note["event"], note["log"]))
            else:
                journal.retired.append(note["retired"])
        return journal

    @property
    def largest(self) -> int:
        return max(size for _, size in self.sizes)

    def decisions(self, since: float, until: float) -> int:
        """Return the number of changes of the wanted size."""
        return sum(event == SCALED and since <= at < until for at, event, _ in self.log)

    def seconds_to(self, size: int, since: float) -> float:
        """Return the seconds from a moment until the pool had this size."""
        for at, reached in self.sizes:
            if at >= since and reached == size:
                return at - since
        return float("inf")

    @property
    def times_saturated(self) -> int:
        """The number of log messages that more workers would not help."""
        return sum(event == SATURATED for _, event, _ in self.log)


@contextmanager
def pool(
    name: str, handler: str, **options: Any
) -> Iterator[tuple[RunningServer, Callable[[], SizeJournal]]]:
    """Run a sizing server, and yield it with a function that reads its journal."""
    with tempfile.NamedTemporaryFile() as file:
        options = {"journal": file.name, "workers": WORKERS, **options}
        options["settings"] = json.dumps(options["settings"])
        with RunningServer(own_server("sizing_server.py", handler, name=name, **options)) as server:
            time.sleep(START)
            yield server, lambda: SizeJournal.read(Path(file.name))


@dataclass(frozen=True)
class LoadStep:
    """How a pool followed clients that came and left at once: seconds until it had its size."""

    grown: float
    shrunk: float
    others: float
    """Cores that were not used by the server; the clients take hundredths of one."""


def load_step() -> LoadStep:
    settings = {"sizing": "load", "idle_timeout": IDLE_TIMEOUT}
    with pool("step", "wait", settings=settings, seconds=WAIT) as (server, journal):
        with using(server) as usage:
            began = time.monotonic()
            generate(Workload(), server.port, clients=CLIENTS, seconds=LOADED)
            ended = time.monotonic()
        while (size := journal().sizes[-1][1]) > 1:
            if time.monotonic() > ended + 2 * MOST_TO_SHRINK:
                raise ServerFailed(f"The pool still has {size} workers long after its last client.")
            time.sleep(0.1)
        now = journal()
        return LoadStep(now.seconds_to(WORKERS, began), now.seconds_to(1, ended), usage.others)


def constant(workload: Workload, clients: int) -> tuple[int, int]:
    """Return the changes of the wanted size in a minute of constant load, and the final
    size."""
    settings = {"sizing": "load"}
    with pool("constant", "wait", settings=settings, seconds=WAIT) as (server, journal):
        generate(workload, server.port, clients=clients, seconds=SETTLED + CONSTANT)
        end = time.monotonic()
        return journal().decisions(end - CONSTANT, end), journal().sizes[-1][1]


def computing() -> SizeJournal:
    settings = {"sizing": "load"}
    given = {"settings": settings, "cores": CORES, "loops": loops_for(COMPUTE)}
    with pool("computing", "burn", **given) as (server, journal):
        generate(Workload(), server.port, clients=CLIENTS, seconds=COMPUTING)
        return journal()


@dataclass(frozen=True)
class Waves:
    """What happened while clients came and went and one stayed."""

    requests: int
    failed: int
    changes: int
    largest: int
    retired: list[str]


def waves(strategy: str) -> Waves:
    settings = {"strategy": strategy, **QUICK}
    with (
        pool(strategy, "wait", settings=settings, seconds=0.02) as (server, journal),
        ThreadPoolExecutor() as threads,
    ):
        seconds = WAVES * (CREST + TROUGH)
        began = time.monotonic()
        one = threads.submit(generate, Workload(), server.port, clients=1, seconds=seconds)
        reports = []
        for number in range(WAVES):
            reports.append(generate(Workload(), server.port, clients=WORKERS - 1, seconds=CREST))
            time.sleep(max(0.0, began + (number + 1) * (CREST + TROUGH) - time.monotonic()))
        reports.append(one.result())
        now = journal()
        return Waves(
            requests=sum(each.requests for each in reports),
            failed=sum(each.errors for each in reports),
            changes=now.decisions(began, time.monotonic()),
            largest=now.largest,
            retired=now.retired,
        )


@dataclass(frozen=True)
class SizingFigures:
    """All parts together."""

    steps: list[LoadStep]
    constant: dict[str, tuple[int, int]]
    """The changes of the wanted size and the final size, by the load."""
    computing: SizeJournal
    waves: dict[str, Waves]
    """The figures of each strategy."""

    @property
    def grown(self) -> float:
        return max(each.grown for each in self.steps)

    @property
    def shrunk(self) -> float:
        return max(each.shrunk for each in self.steps)

    @property
    def others(self) -> float:
        return max(each.others for each in self.steps)

    def rows(self) -> Iterator[tuple[str, str]]:
        growth = f"{WORKERS} workers after {self.grown:.2f} s, 1 after {self.shrunk:.2f} s"
        yield f"{CLIENTS} clients at once, then none", growth
        for load, (count, size) in self.constant.items():
            yield f"{CONSTANT:.0f} s, {load}", f"{count} changes, {size} workers"
        largest = f"at most {self.computing.largest} workers"
        yield f"{CLIENTS} clients, computing on {CORES} cores", largest
        for strategy, one in self.waves.items():
            failed = f"{one.changes} changes, {one.failed} of {one.requests:,} failed"
            yield f"{WAVES} times up and down, {strategy}", failed

    def goals(self) -> Iterator[Goal]:
        yield Goal(
            f"{WORKERS} workers {{:.2f}} s after the clients came",
            self.grown,
            at_most=MOST_TO_GROW,
            valid=self.grown <= MOST_TO_GROW or self.others <= QUIET,
        )
        yield Goal(
            f"1 worker {{:.2f}} s after the last client, with idle_timeout {IDLE_TIMEOUT:g}",
            self.shrunk,
            at_most=MOST_TO_SHRINK,
        )
        yield Goal(
            f"{{}} changes of size in {CONSTANT:.0f} s of constant load",
            max(count for count, _ in self.constant.values()),
            at_most=MOST_CHANGES,
        )
        yield Goal(
            f"grows to {{}} workers if they compute on {CORES} cores",
            self.computing.largest,
            at_most=CORES + 1,
            at_least=CORES + 1,
        )
        yield Goal(
            "log messages that more workers would not help: {}",
            self.computing.times_saturated,
            at_most=1,
            at_least=1,
        )
        waves = self.waves.values()
        yield Goal(
            f"{{}} changes of size, {WAVES} times up and down",
            min(one.changes for one in waves),
            at_least=2 * WAVES,
        )
        yield Goal(
            "{} requests failed during the waves", sum(one.failed for one in waves), at_most=0
        )
        disturbed = sum(state != "IDLE" for one in waves for state in one.retired)
        yield Goal("{} busy workers were chosen to leave", disturbed, at_most=0)
        yield Goal(
            "at most {} processes during the waves",
            max(one.largest for one in waves),
            at_most=WORKERS,
        )

    def figures(self) -> dict[str, Any]:
        return {
            "steps": [vars(each) for each in self.steps],
            "constant": self.constant,
            "computing": {
                "largest": self.computing.largest,
                "log": [(at, message) for at, _, message in self.computing.log],
            },
            "waves": {
                strategy: {**vars(one), "retired": len(one.retired)}
                for strategy, one in self.waves.items()
            },
        }


def measure(plan: Plan = PLAN) -> Finding:
    steps = []
    with bar.part(0.3):
        for number in range(plan.rounds):
            steps.append(load_step())
            bar.at((number + 1) / plan.rounds, "sizing: clients at once")
    with bar.part(0.4), ThreadPoolExecutor() as threads:
        steady = {
            "5 clients without pauses": threads.submit(constant, Workload(), 5),
            "10 clients with random pauses": threads.submit(constant, RANDOM_PAUSES, 10),
        }
        changes = {load: each.result() for load, each in steady.items()}
    with bar.part(0.05):
        computed = computing()
        bar.at(1, "sizing: up and down")
    with ThreadPoolExecutor() as threads:
        waved = dict(zip(STRATEGIES, threads.map(waves, STRATEGIES), strict=True))
    found = SizingFigures(steps, changes, computed, waved)
    remarks = []
    if found.others > QUIET:
        remarks.append(
            f"Other work used {found.others:.2f} cores: with little CPU left, a pool grows slowly "
            "or not at all. Measure again."
        )
    return Finding(
        question=f"how a pool of at most {WORKERS} workers follows the load; worst of "
        f"{plan.rounds} rounds.",
        rounds={},
        table=listing(("load", "what the pool did"), found.rows()),
        goals=list(found.goals()),
        remarks=remarks,
        figures=found.figures(),
    )
