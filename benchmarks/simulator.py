"""Whether the simulation foretells what a pool does on this machine.

Three handlers: one computes, one waits, one does both for times that differ. First a single client
asks, which gives the *profile*: what each kind of request takes of its worker, and what its client
takes. From it the simulation foretells the most that the pool serves; then, for times at which
requests come that are the same ones in both, how long they take. The requests are the same ones,
too: both take them from the same deck of cards.

What comes at 95 % of the most depends on small things: where requests take 1 % longer, the queue
is a fifth longer. The cores of a virtual machine change more than that from one second to the next,
and a request costs less among others than alone, when nothing of it is in the caches. So the CPU
of the profile is corrected by what requests took in a crowd, a moment ago: one factor for all
cards, from a round that is over before the next one is foretold; the levels are parts of what it
served. All is measured in turns of a profile, the most, and the levels, a crowd before each; what
is told is the median over the turns.

What this shows, and what it does not. The most is foretold: from what requests take, how many are
served. At the levels as many are answered as come, and when they come is given; what is foretold
there is how long they take. Nor is it foretold there how busy the cores are, or hardly: a level is
a part of what was served a moment ago, and the CPU of a request was measured with it.
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

from benchmarks.cpu import loops_for
from benchmarks.dealer import Dealer, dealing
from benchmarks.dealt import Card, Note
from benchmarks.load import Load
from benchmarks.output import Outcome, Target
from benchmarks.progress import bar
from benchmarks.rounds import TRIES, Plan, Round, Rounds, Spread, one_round
from benchmarks.tables import listing
from prefork.simulation import Closed, Given, Poisson, Scenario, Service, simulate
from prefork.simulation import Outcome as Foretold

CORES = len(os.sched_getaffinity(0))
LEVELS = (0.5, 0.8, 0.95)
LONGER = 3
"""Times as long as the crowd are the rounds that are judged: at half of the most, too, the slowest
hundredth shall be some ten requests."""

MOST = "most"
"""The name of a round with as many requests as are served."""

PROFILED = 3
"""Times that each card is seen, at least, before it is known what it takes."""

MOST_SECONDS = 60.0
"""For a simulated hour."""

CROWD = 4
"""Clients for each worker, to see the most that they serve."""

RATE_WITHIN, P99_WITHIN = 5.0, 20.0  # percent
MOST_CLIENTS = 500
"""Requests under way at a time; later ones are late, and that counts."""

AHEAD = 20_000
"""Cards for rounds of which nobody knows how many requests they have."""

PLAN = Plan(rounds=3, seconds=2.5, clients=MOST_CLIENTS, quiet=0.05)


@dataclass(frozen=True)
class Kind:
    """A handler: how many workers serve it, and its cards; CPU and wait in milliseconds."""

    name: str
    workers: int
    requests: Sequence[tuple[float, float]]

    def cards(self, loops_per_ms: float) -> list[Card]:
        half = loops_per_ms / 2
        return [Card(int(cpu * half), int(cpu * half), ms / 1e3) for cpu, ms in self.requests]


def spread(random: Random, mean: float) -> float:
    """A gamma variate of the shape 4: half of them are within 30 % of the mean."""
    return random.gammavariate(4, mean / 4)


def kinds() -> list[Kind]:
    random = Random(7)
    mixed = [(spread(random, 5), spread(random, 15)) for _ in range(24)]
    return [
        Kind("computing 10 ms", CORES, [(10, 0)]),
        Kind("waiting 20 ms", 4 * CORES, [(0.3, 20)]),
        Kind("both, 5 and 15 ms", 4 * CORES, mixed),
    ]


@dataclass(frozen=True)
class Cell:
    """A round, and what was foretold of it. Times in seconds."""

    real: Round
    rate: float
    p50: float
    p99: float


def measure(plan: Plan = PLAN) -> Outcome:
    per_ms = loops_for(1e-3)
    found: dict[str, list[Cell]] = {}
    for kind in kinds():
        with bar.part(1 / 3), dealing(kind.name, kind.workers) as dealer:
            for seed in range(plan.rounds):
                turn = Trial(kind, kind.cards(per_ms), dealer, plan, seed)
                for name, cell in turn.cells().items():
                    found.setdefault(name, []).append(cell)
                bar.at((seed + 1) / plan.rounds)
    rounds: Rounds = {name: [cell.real for cell in cells] for name, cells in found.items()}
    return Outcome(
        question="what the simulation foretells of a pool, from what single requests take, "
        "corrected by their CPU in a crowd.",
        rounds=rounds,
        table=table(found),
        targets=[*targets(found, plan), speed()],
        figures={
            f"foretold of {name}": [(cell.rate, cell.p50, cell.p99) for cell in cells]
            for name, cells in found.items()
        },
    )


def speed() -> Target:
    """How long the simulation takes itself, while six of seven workers are busy."""
    random, minutes = Random(7), 6
    services = [Service(spread(random, 0.030), spread(random, 0.025)) for _ in range(1000)]
    began = time.process_time()
    simulate(
        Scenario(
            arrivals=Poisson(1000), services=services, workers=64, cores=64, seconds=60 * minutes
        )
    )
    return Target(
        "an hour of 64 workers on as many cores, at 1,000 requests a second, is simulated in "
        f"{{:.0f}} s ({60 // minutes} times {minutes} minutes of it)",
        (time.process_time() - began) * 60 / minutes,
        at_most=MOST_SECONDS,
    )


class Trial:
    """Profile, most, and all levels of one handler."""

    def __init__(
        self, kind: Kind, cards: list[Card], dealer: Dealer, plan: Plan, seed: int
    ) -> None:
        self._kind = kind
        self._cards = cards
        self._dealer = dealer
        self._plan = plan
        self._random = Random(seed)
        self._services, self._client_cpu = self._profile()

    def cells(self) -> dict[str, Cell]:
        quiet = self._plan.quiet
        most = calmest(self._most, quiet)
        levels = [calmest(partial(self._level, each), quiet) for each in LEVELS]
        names = [MOST, *(f"{level:.0%}" for level in LEVELS)]
        return {
            f"{self._kind.name}, {name}": cell
            for name, cell in zip(names, [most, *levels], strict=True)
        }

    def _profile(self) -> tuple[dict[Card, Service], float]:
        """What each card takes, asked for by one client, and the CPU seconds of that."""
        seen: dict[Card, list[Note]] = {card: [] for card in self._cards}
        while min(map(len, seen.values())) < PROFILED:
            rarest_first = sorted(self._cards, key=lambda card: len(seen[card]))
            cards = list(islice(cycle(rarest_first), AHEAD))
            self._dealer.deal(cards)
            real = one_round(self._dealer.server, replace(self._plan, clients=1))
            for card, note in zip(cards, self._dealer.notes(), strict=False):
                seen[card].append(note)
        services = {
            card: Service(
                statistics.median(note.cpu for note in notes),
                statistics.median(note.wait for note in notes) if card.wait else 0.0,
            )
            for card, notes in seen.items()
        }
        return services, real.load * real.seconds / real.requests

    def _crowd(self, seconds: float) -> Round:
        """More clients than workers, who do not pause."""
        self._deal(AHEAD)
        plan = replace(self._plan, clients=CROWD * self._kind.workers, seconds=seconds)
        return one_round(self._dealer.server, plan)

    def _most(self) -> Cell:
        self._calibrated()
        seconds = LONGER * self._plan.seconds
        real = self._crowd(seconds)
        return self._cell(real, Closed(CROWD * self._kind.workers), seconds)

    def _calibrated(self) -> float:
        """The most requests in a second now; the profile has as much CPU as they take in it."""
        rate = self._crowd(self._plan.seconds).rate
        took = [note.cpu for note in self._dealer.notes()]
        expected = sum(self._services[card].cpu for card in self._cards_dealt[: len(took)])
        speed = sum(took) / expected
        self._services = {
            card: Service(speed * cpu, wait) for card, (cpu, wait) in self._services.items()
        }
        return rate

    def _level(self, level: float) -> Cell:
        """With requests that come when they come, so much of the most in a second."""
        rate = level * self._calibrated()
        seconds = LONGER * self._plan.seconds
        times = list(until(Poisson(rate).times(self._random), seconds))
        self._deal(len(times))
        load = Load(times=self._dealer.write_times(times))
        real = one_round(self._dealer.server, replace(self._plan, load=load, seconds=seconds))
        return self._cell(real, Given(times), seconds)

    def _deal(self, count: int) -> None:
        self._cards_dealt = self._random.choices(self._cards, k=count)
        self._dealer.deal(self._cards_dealt)

    def _cell(self, real: Round, arrivals: Closed | Given, seconds: float) -> Cell:
        next_service = map(self._services.__getitem__, self._cards_dealt).__next__
        foretold: Foretold = simulate(
            Scenario(
                arrivals=arrivals,
                services=lambda random: next_service(),
                workers=self._kind.workers,
                cores=CORES,
                seconds=seconds,
                client_cpu=self._client_cpu,
            )
        )
        p50, p99 = (foretold.latencies.quantile(share) for share in (0.5, 0.99))
        return Cell(real, foretold.throughput, p50, p99)


def calmest(measure: Callable[[], Cell], quiet: float) -> Cell:
    """The first one in which others leave the cores alone; or, after some tries, nearly so.

    What was foretold of it must not matter.
    """
    cells: list[Cell] = []
    while len(cells) < TRIES:
        cells.append(measure())
        if cells[-1].real.others <= quiet:
            break
    return min(cells, key=lambda cell: cell.real.others)


def until(times: Iterator[float], end: float) -> Iterator[float]:
    for moment in times:
        if moment >= end:
            return
        yield moment


def off(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """By how many percent what was foretold is above what came, or below (negative)."""
    return [100 * (foretold / came - 1) for foretold, came in pairs]


def rate_off(cells: list[Cell]) -> list[float]:
    return off((cell.rate, cell.real.rate) for cell in cells)


def p99_off(cells: list[Cell]) -> list[float]:
    return off((cell.p99 * 1e6, cell.real.p99) for cell in cells)


def table(found: dict[str, list[Cell]]) -> Table:
    rate, p50 = ("req/s", "foretold", "off"), ("p50 ms", "foretold")
    p99 = ("p99 ms", "foretold", "off")
    return listing(
        ("handler, load", *rate, *p50, *p99),
        ((name, *row(cells, counts_latencies(name))) for name, cells in found.items()),
        caption="Medians; what is off, in percent, turn by turn.",
    )


def row(cells: list[Cell], latencies: bool) -> Iterator[str]:
    yield f"{median(cell.real.rate for cell in cells):.1f}"
    yield f"{median(cell.rate for cell in cells):.1f}"
    yield f"{median(rate_off(cells)):+.1f}"
    if latencies:
        yield f"{median(cell.real.p50 for cell in cells) / 1e3:.1f}"
        yield f"{median(cell.p50 for cell in cells) * 1e3:.1f}"
        yield f"{median(cell.real.p99 for cell in cells) / 1e3:.1f}"
        yield f"{median(cell.p99 for cell in cells) * 1e3:.1f}"
        yield f"{median(p99_off(cells)):+.1f}"
    else:
        yield from [""] * 5


def median(values: Iterable[float]) -> float:
    return Spread.of(values).median


def counts_latencies(name: str) -> bool:
    """Where clients wait for answers, the latency is what their number makes it."""
    return not name.endswith(MOST)


def targets(found: dict[str, list[Cell]], plan: Plan) -> Iterator[Target]:
    """Too much in one turn does not make up for too little in another."""
    for name, cells in found.items():
        quiet = median(cell.real.others for cell in cells) <= plan.quiet
        figures = [("requests per second", rate_off(cells), RATE_WITHIN)]
        if counts_latencies(name):
            figures.append(("p99", p99_off(cells), P99_WITHIN))
        for figure, errors, within in figures:
            spread = Spread.of(map(abs, errors))
            yield Target(
                f"{name}: {figure} foretold {{:.1f}} % off",
                spread.median,
                spread.margin,
                at_most=within,
                valid=quiet,
            )
