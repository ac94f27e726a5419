"""How a pool follows the load: how soon, how often, how far, and at whose cost.

All servers log what they decide, and keep a journal of how many processes there are. In the first
part a pool meets its clients at once, and loses them at once; handlers wait, as for a database. In
the second nothing changes for a minute. In the third, handlers compute on two cores. In the last,
clients come and go fifty times while others stay, under each strategy.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, Running, ServerFailed
from benchmarks.cpu import loops_for
from benchmarks.load import Load, generate
from benchmarks.output import QUIET, Outcome, Target
from benchmarks.progress import bar
from benchmarks.rounds import Plan
from benchmarks.tables import listing
from benchmarks.watched import using

SIZED = Path(__file__).resolve().with_name("sized.py")
WORKERS = CLIENTS = 8
WAIT = 0.2
COMPUTE = 0.05
CORES = 2
IDLE_TIMEOUT = 5.0
REST = 1.5
"""Seconds in which a pool that nobody asks comes to rest."""

STEP, CONSTANT, SETTLED, COMPUTING = 4.0, 60.0, 15.0, 8.0
"""Seconds of clients; of those of a constant load, the first ones are not counted."""
WAVES, CREST, TROUGH = 50, 0.4, 0.8
STRATEGIES = "accept", "handoff", "reuseport"
QUICK = {"sizing": "ondemand", "idle_timeout": 0.25, "min_children": 1}

MOST_TO_GROW, MOST_TO_SHRINK = 2.0, IDLE_TIMEOUT + 5.0
MOST_CHANGES = 2
PLAN = Plan(rounds=3, seconds=0, clients=CLIENTS)

DRAWN = Load(think=0.4)
"""Clients that pause at random: the load is constant, and never the same."""


@dataclass
class Journal:
    """What a server has noted. Times in seconds of the monotonic clock."""

    sizes: list[tuple[float, int]] = field(default_factory=list)
    said: list[tuple[float, str]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    """What those who were to leave were doing."""

    @classmethod
    def read(cls, file: Path) -> Journal:
        journal = cls()
        for line in file.read_text().splitlines():
            note: dict[str, Any] = json.loads(line)
            if "size" in note:
                journal.sizes.append((note["at"], note["size"]))
            elif "said" in note:
                journal.said.append((note["at"], note["said"]))
            else:
                journal.retired.append(note["retired"])
        return journal

    @property
    def most(self) -> int:
        return max(size for _, size in self.sizes)

    def decisions(self, since: float, until: float) -> int:
        """Changes of the size that was wanted."""
        return sum(
            since <= at < until and said.startswith("Scaling from") for at, said in self.said
        )

    def seconds_to(self, size: int, since: float) -> float:
        """Until there were so many."""
        for at, there in self.sizes:
            if at >= since and there == size:
                return at - since
        return float("inf")

    def times_said(self, words: str) -> int:
        return sum(words in said for _, said in self.said)


@contextmanager
def pool(
    name: str, handler: str, **options: Any
) -> Iterator[tuple[Running, Callable[[], Journal]]]:
    """A server as sized.py has it, and its journal so far."""
    with tempfile.NamedTemporaryFile() as file:
        options = {"journal": file.name, "workers": WORKERS, **options}
        options["settings"] = json.dumps(options["settings"])
        flags = (f"--{flag}={value}" for flag, value in options.items())
        command = (sys.executable, "-I", str(SIZED), handler, *flags)
        with Running(Contender(name, command)) as server:
            time.sleep(REST)
            yield server, lambda: Journal.read(Path(file.name))


@dataclass(frozen=True)
class Step:
    """A pool that meets its clients at once; seconds until it was as large, and as small again."""

    grown: float
    shrunk: float
    others: float
    """Cores that were taken by what is not the server; the clients take hundredths of one."""


def step() -> Step:
    settings = {"sizing": "load", "idle_timeout": IDLE_TIMEOUT}
    with pool("step", "wait", settings=settings, seconds=WAIT) as (server, journal):
        with using(server) as usage:
            came = time.monotonic()
            generate(Load(), server.port, clients=CLIENTS, seconds=STEP)
            gone = time.monotonic()
        while journal().sizes[-1][1] > 1:
            if time.monotonic() > gone + 2 * MOST_TO_SHRINK:
                raise ServerFailed(f"The pool is at {journal().sizes[-1][1]} workers still.")
            time.sleep(0.1)
        now = journal()
        return Step(now.seconds_to(WORKERS, came), now.seconds_to(1, gone), usage.others)


def constant(load: Load, clients: int) -> tuple[int, int]:
    """Changes of size in a minute, and the size at its end."""
    settings = {"sizing": "load"}
    with pool("constant", "wait", settings=settings, seconds=WAIT) as (server, journal):
        generate(load, server.port, clients=clients, seconds=SETTLED + CONSTANT)
        end = time.monotonic()
        return journal().decisions(end - CONSTANT, end), journal().sizes[-1][1]


def computing() -> Journal:
    settings = {"sizing": "load"}
    given = {"settings": settings, "cores": CORES, "loops": loops_for(COMPUTE)}
    with pool("computing", "burn", **given) as (server, journal):
        generate(Load(), server.port, clients=CLIENTS, seconds=COMPUTING)
        return journal()


@dataclass(frozen=True)
class Waves:
    """Clients that come and go while others stay."""

    requests: int
    failed: int
    changes: int
    most: int
    retired: list[str]


def waves(strategy: str) -> Waves:
    settings = {"strategy": strategy, **QUICK}
    with (
        pool(strategy, "wait", settings=settings, seconds=0.02) as (server, journal),
        ThreadPoolExecutor() as elsewhere,
    ):
        seconds = WAVES * (CREST + TROUGH)
        began = time.monotonic()
        one = elsewhere.submit(generate, Load(), server.port, clients=1, seconds=seconds)
        answers = []
        for number in range(WAVES):
            answers.append(generate(Load(), server.port, clients=WORKERS - 1, seconds=CREST))
            time.sleep(max(0.0, began + (number + 1) * (CREST + TROUGH) - time.monotonic()))
        answers.append(one.result())
        now = journal()
        return Waves(
            requests=sum(each.requests for each in answers),
            failed=sum(each.errors for each in answers),
            changes=now.decisions(began, time.monotonic()),
            most=now.most,
            retired=now.retired,
        )


@dataclass(frozen=True)
class Measured:
    """All parts together."""

    steps: list[Step]
    constant: dict[str, tuple[int, int]]
    """By the load: changes of size, and the size at the end."""
    computing: Journal
    waves: dict[str, Waves]
    """By the strategy."""

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
        yield f"step to {CLIENTS} clients, back to none", growth
        for load, (count, size) in self.constant.items():
            yield f"{CONSTANT:.0f} s, {load}", f"{count} changes, {size} workers"
        most = f"{self.computing.most} workers at most"
        yield f"{CLIENTS} clients compute on {CORES} cores", most
        for strategy, one in self.waves.items():
            failed = f"{one.changes} changes, {one.failed} of {one.requests:,} failed"
            yield f"{WAVES} times up and down, {strategy}", failed

    def targets(self) -> Iterator[Target]:
        yield Target(
            f"{WORKERS} workers {{:.2f}} s after the clients",
            self.grown,
            at_most=MOST_TO_GROW,
            valid=self.grown <= MOST_TO_GROW or self.others <= QUIET,
        )
        yield Target(
            f"1 worker {{:.2f}} s after the last client, with idle_timeout {IDLE_TIMEOUT:g}",
            self.shrunk,
            at_most=MOST_TO_SHRINK,
        )
        yield Target(
            f"{{}} changes of size in {CONSTANT:.0f} s of constant load",
            max(count for count, _ in self.constant.values()),
            at_most=MOST_CHANGES,
        )
        yield Target(
            f"{{}} workers at most where they compute on {CORES} cores",
            self.computing.most,
            at_most=CORES + 1,
            at_least=CORES + 1,
        )
        yield Target(
            "it said {} times that the CPU is saturated",
            self.computing.times_said("the CPU is saturated"),
            at_most=1,
            at_least=1,
        )
        waves = self.waves.values()
        yield Target(
            f"{{}} changes of size, {WAVES} times up and down",
            min(one.changes for one in waves),
            at_least=2 * WAVES,
        )
        yield Target("{} requests failed meanwhile", sum(one.failed for one in waves), at_most=0)
        disturbed = sum(state != "IDLE" for one in waves for state in one.retired)
        yield Target("{} busy workers were to leave", disturbed, at_most=0)
        yield Target(
            "{} processes at most meanwhile", max(one.most for one in waves), at_most=WORKERS
        )

    def figures(self) -> dict[str, Any]:
        return {
            "steps": [vars(each) for each in self.steps],
            "constant": self.constant,
            "computing": {"most": self.computing.most, "said": self.computing.said},
            "waves": {
                strategy: {**vars(one), "retired": len(one.retired)}
                for strategy, one in self.waves.items()
            },
        }


def measure(plan: Plan = PLAN) -> Outcome:
    steps = []
    with bar.part(0.3):
        for number in range(plan.rounds):
            steps.append(step())
            bar.at((number + 1) / plan.rounds, "sizing: a step")
    with bar.part(0.4), ThreadPoolExecutor() as at_once:
        steady = {
            "5 clients that ask again at once": at_once.submit(constant, Load(), 5),
            "10 clients with pauses at random": at_once.submit(constant, DRAWN, 10),
        }
        changes = {load: each.result() for load, each in steady.items()}
    with bar.part(0.05):
        computed = computing()
        bar.at(1, "sizing: up and down")
    with ThreadPoolExecutor() as at_once:
        waved = dict(zip(STRATEGIES, at_once.map(waves, STRATEGIES), strict=True))
    found = Measured(steps, changes, computed, waved)
    remarks = []
    if found.others > QUIET:
        remarks.append(
            f"Other work took {found.others:.2f} cores: with little CPU left a pool grows slowly, "
            "or not at all. Measure again."
        )
    return Outcome(
        question=f"how a pool of at most {WORKERS} workers follows the load; worst of "
        f"{plan.rounds} rounds.",
        rounds={},
        table=listing(("load", "what the pool did"), found.rows()),
        targets=list(found.targets()),
        remarks=remarks,
        figures=found.figures(),
    )
