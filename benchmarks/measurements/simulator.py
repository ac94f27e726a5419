"""Whether the simulation predicts what a pool does on this machine.

There are three handlers: one computes, one waits, one does both for times that differ. First a
single client sends requests. That gives the *profile*: the time that each kind of request takes in
its worker, and the CPU time of its client. From the profile the simulation predicts the maximum
that the pool serves. Then it predicts, for given arrival times, how long the requests take. The
real pool gets requests at the same times, and both take the same work items, from one script.

What happens at 95 % of the maximum depends on small things: if requests take 1 % longer, the queue
is a fifth longer. The cores of a virtual machine change more than that from one second to the next,
and a request costs less among others than alone, when nothing of it is in the caches. The CPU of
the profile is therefore corrected by what requests took under full load a moment before: one factor
for all items, from a trial that ends before the next one is predicted. The levels are shares of
what that trial served. Everything is measured in rounds of a profile, the maximum and the levels,
with full load before each; the table has the medians over the rounds.

What this shows, and what it does not: the maximum is predicted, from what single requests take. At
the levels the arrivals are given, and all requests that arrive are answered; the prediction is how
long they take. The load of the cores is hardly predicted: a level is a share of what was served a
moment before, and the CPU of a request was measured with it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from random import Random

from rich.table import Table

from benchmarks.harness.calibration import loops_for
from benchmarks.harness.load_generator import Workload
from benchmarks.harness.progress import bar
from benchmarks.harness.rounds import TRIES, Plan, Rounds, Spread, Trial, one_trial
from benchmarks.harness.script import Script, scripted
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import listing
from benchmarks.servers.scripted_server import WorkItem, WorkRecord
from prefork.simulation import Closed, Given, Poisson, Scenario, Service, simulate

CORES = len(os.sched_getaffinity(0))
LEVELS = (0.5, 0.8, 0.95)
LONGER = 3
"""The length of the compared trials, as a multiple of those of full load: even at half of the
maximum, the slowest hundredth should be about ten requests."""

MAXIMUM = "maximum"
"""The name of a trial with as many requests as the pool can serve."""

PROFILED = 3
"""Minimum number of measurements of each item for the profile."""

MOST_SECONDS = 60.0
"""Maximum number of seconds for a simulated hour."""

FULL_LOAD = 4
"""Clients for each worker that find the maximum."""

RATE_WITHIN, P99_WITHIN = 5.0, 20.0  # percent
MOST_CLIENTS = 500
"""Maximum number of concurrent requests. Further ones are sent late, which adds to latency."""

SCRIPTED = 20_000
"""Work items for trials whose number of requests is not known beforehand."""

PLAN = Plan(rounds=3, seconds=2.5, clients=MOST_CLIENTS, quiet=0.05)


@dataclass(frozen=True)
class HandlerCase:
    """A handler: how many workers serve it, and the CPU and wait of its requests in
    milliseconds."""

    name: str
    workers: int
    requests: Sequence[tuple[float, float]]

    def items(self, loops_per_ms: float) -> list[WorkItem]:
        half = loops_per_ms / 2
        return [WorkItem(int(cpu * half), int(cpu * half), ms / 1e3) for cpu, ms in self.requests]


def gamma(random: Random, mean: float) -> float:
    """Return a gamma variate of shape 4: half of them are within 30 % of the mean."""
    return random.gammavariate(4, mean / 4)


def cases() -> list[HandlerCase]:
    random = Random(7)
    mixed = [(gamma(random, 5), gamma(random, 15)) for _ in range(24)]
    return [
        HandlerCase("computing 10 ms", CORES, [(10, 0)]),
        HandlerCase("waiting 20 ms", 4 * CORES, [(0.3, 20)]),
        HandlerCase("both, 5 and 15 ms", 4 * CORES, mixed),
    ]


@dataclass(frozen=True)
class PredictedTrial:
    """A trial, and what was predicted for it. Times in seconds."""

    real: Trial
    rate: float
    p50: float
    p99: float


def measure(plan: Plan = PLAN) -> Finding:
    per_ms = loops_for(1e-3)
    found: dict[str, list[PredictedTrial]] = {}
    for case in cases():
        with bar.part(1 / 3), scripted(case.name, case.workers) as script:
            for seed in range(plan.rounds):
                one_round = PredictionRound(case, case.items(per_ms), script, plan, seed)
                for name, one in one_round.trials().items():
                    found.setdefault(name, []).append(one)
                bar.at((seed + 1) / plan.rounds)
    rounds: Rounds = {name: [one.real for one in series] for name, series in found.items()}
    return Finding(
        question="what the simulation predicts for a pool, from what single requests take, "
        "corrected by their CPU under full load.",
        rounds=rounds,
        table=table(found),
        goals=[*goals(found, plan), speed()],
        figures={
            f"predicted of {name}": [(one.rate, one.p50, one.p99) for one in series]
            for name, series in found.items()
        },
    )


def speed() -> Goal:
    """Return the goal for the CPU time of the simulation, while six of seven workers are busy."""
    random, minutes = Random(7), 6
    services = [Service(gamma(random, 0.030), gamma(random, 0.025)) for _ in range(1000)]
    began = time.process_time()
    simulate(
        Scenario(
            arrivals=Poisson(1000), services=services, workers=64, cores=64, seconds=60 * minutes
        )
    )
    return Goal(
        "an hour of 64 workers on as many cores, at 1,000 requests per second, is simulated in "
        f"{{:.0f}} s ({60 // minutes} times {minutes} minutes of it)",
        (time.process_time() - began) * 60 / minutes,
        at_most=MOST_SECONDS,
    )


class PredictionRound:
    """One round of one handler: its profile, the maximum, and all levels."""

    def __init__(
        self, case: HandlerCase, items: list[WorkItem], script: Script, plan: Plan, seed: int
    ) -> None:
        self._case = case
        self._items = items
        self._script = script
        self._plan = plan
        self._random = Random(seed)
        self._services, self._client_cpu = self._profile()

    def trials(self) -> dict[str, PredictedTrial]:
        """Return the trials by their names."""
        quiet = self._plan.quiet
        maximum = calmest(self._maximum, quiet)
        levels = [calmest(partial(self._level, each), quiet) for each in LEVELS]
        names = [MAXIMUM, *(f"{level:.0%}" for level in LEVELS)]
        return {
            f"{self._case.name}, {name}": one
            for name, one in zip(names, [maximum, *levels], strict=True)
        }

    def _profile(self) -> tuple[dict[WorkItem, Service], float]:
        """Return what each item takes when one client sends requests, and the client's CPU seconds
        for each."""
        seen: dict[WorkItem, list[WorkRecord]] = {item: [] for item in self._items}
        while min(map(len, seen.values())) < PROFILED:
            rarest_first = sorted(self._items, key=lambda item: len(seen[item]))
            items = list(islice(cycle(rarest_first), SCRIPTED))
            self._script.write(items)
            real = one_trial(self._script.server, replace(self._plan, clients=1))
            for item, record in zip(items, self._script.records(), strict=False):
                seen[item].append(record)
        services = {
            item: Service(
                statistics.median(record.cpu for record in records),
                statistics.median(record.wait for record in records) if item.wait else 0.0,
            )
            for item, records in seen.items()
        }
        return services, real.load * real.seconds / real.requests

    def _full_load(self, seconds: float) -> Trial:
        """Make a trial with more clients than workers, which never pause."""
        self._write(SCRIPTED)
        plan = replace(self._plan, clients=FULL_LOAD * self._case.workers, seconds=seconds)
        return one_trial(self._script.server, plan)

    def _maximum(self) -> PredictedTrial:
        self._calibrate()
        seconds = LONGER * self._plan.seconds
        real = self._full_load(seconds)
        return self._predicted(real, Closed(FULL_LOAD * self._case.workers), seconds)

    def _calibrate(self) -> float:
        """Correct the profile by the CPU that requests take under full load now, and return the
        requests per second that are served."""
        rate = self._full_load(self._plan.seconds).rate
        took = [record.cpu for record in self._script.records()]
        expected = sum(self._services[item].cpu for item in self._written[: len(took)])
        factor = sum(took) / expected
        self._services = {
            item: Service(factor * cpu, wait) for item, (cpu, wait) in self._services.items()
        }
        return rate

    def _level(self, level: float) -> PredictedTrial:
        """Make a trial with random arrivals, at a share of the maximum."""
        rate = level * self._calibrate()
        seconds = LONGER * self._plan.seconds
        times = list(until(Poisson(rate).times(self._random), seconds))
        self._write(len(times))
        workload = Workload(times=self._script.write_times(times))
        plan = replace(self._plan, workload=workload, seconds=seconds)
        real = one_trial(self._script.server, plan)
        return self._predicted(real, Given(times), seconds)

    def _write(self, count: int) -> None:
        self._written = self._random.choices(self._items, k=count)
        self._script.write(self._written)

    def _predicted(self, real: Trial, arrivals: Closed | Given, seconds: float) -> PredictedTrial:
        next_service = map(self._services.__getitem__, self._written).__next__
        predicted = simulate(
            Scenario(
                arrivals=arrivals,
                services=lambda random: next_service(),
                workers=self._case.workers,
                cores=CORES,
                seconds=seconds,
                client_cpu=self._client_cpu,
            )
        )
        p50, p99 = (predicted.latencies.quantile(share) for share in (0.5, 0.99))
        return PredictedTrial(real, predicted.throughput, p50, p99)


def calmest(measure: Callable[[], PredictedTrial], quiet: float) -> PredictedTrial:
    """Return the first trial that other work did not disturb; after some tries, the one that it
    disturbed least. The prediction for a trial must not matter here."""
    tried: list[PredictedTrial] = []
    while len(tried) < TRIES:
        tried.append(measure())
        if tried[-1].real.others <= quiet:
            break
    return min(tried, key=lambda one: one.real.others)


def until(times: Iterator[float], end: float) -> Iterator[float]:
    for moment in times:
        if moment >= end:
            return
        yield moment


def errors(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """Return by how many percent predictions exceed the measured figures; negative if below."""
    return [100 * (predicted / measured - 1) for predicted, measured in pairs]


def rate_errors(series: list[PredictedTrial]) -> list[float]:
    return errors((one.rate, one.real.rate) for one in series)


def p99_errors(series: list[PredictedTrial]) -> list[float]:
    return errors((one.p99 * 1e6, one.real.p99) for one in series)


def table(found: dict[str, list[PredictedTrial]]) -> Table:
    rate, p50 = ("req/s", "predicted", "error"), ("p50 ms", "predicted")
    p99 = ("p99 ms", "predicted", "error")
    return listing(
        ("handler, load", *rate, *p50, *p99),
        ((name, *row(series, counts_latencies(name))) for name, series in found.items()),
        caption="Medians of the rounds; errors in percent.",
    )


def row(series: list[PredictedTrial], latencies: bool) -> Iterator[str]:
    yield f"{median(one.real.rate for one in series):.1f}"
    yield f"{median(one.rate for one in series):.1f}"
    yield f"{median(rate_errors(series)):+.1f}"
    if latencies:
        yield f"{median(one.real.p50 for one in series) / 1e3:.1f}"
        yield f"{median(one.p50 for one in series) * 1e3:.1f}"
        yield f"{median(one.real.p99 for one in series) / 1e3:.1f}"
        yield f"{median(one.p99 for one in series) * 1e3:.1f}"
        yield f"{median(p99_errors(series)):+.1f}"
    else:
        yield from [""] * 5


def median(values: Iterable[float]) -> float:
    return Spread.of(values).median


def counts_latencies(name: str) -> bool:
    """Whether the latencies of a trial are compared. At the maximum they follow from the number of
    clients."""
    return not name.endswith(MAXIMUM)


def goals(found: dict[str, list[PredictedTrial]], plan: Plan) -> Iterator[Goal]:
    """Yield the goals for the absolute errors, so that an overestimate in one round does not
    compensate for an underestimate in another."""
    for name, series in found.items():
        quiet = median(one.real.others for one in series) <= plan.quiet
        figures = [("requests per second", rate_errors(series), RATE_WITHIN)]
        if counts_latencies(name):
            figures.append(("p99", p99_errors(series), P99_WITHIN))
        for figure, off, within in figures:
            spread = Spread.of(map(abs, off))
            yield Goal(
                f"{name}: predicted {figure} {{:.1f}} % off",
                spread.median,
                spread.margin,
                at_most=within,
                valid=quiet,
            )
