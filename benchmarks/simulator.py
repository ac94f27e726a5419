"""Whether the simulation foretells what a pool does on this machine.

Three handlers: one computes, one waits, one does both for times that differ. First a single client
asks, which gives the *profile*: what each kind of request takes of its worker, and what its client
takes. From this alone the simulation foretells the most that the pool serves; then, for times at
which requests come that are the same ones in both, how long they take. The requests are the same
ones, too: both take them from the same deck of cards.

What comes at 95 % of the most depends on small things: where requests take 1 % longer, the queue
is a fifth longer. The cores of a virtual machine change more than that from one second to the next,
and a request costs less among others than alone, when nothing of it is in the caches. So the CPU of
the profile is corrected by what the pool used for a request when it served most, a moment ago. All
is measured in turns of profile, most, and levels; what is told is the median over the turns.
"""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from random import Random

from rich.table import Table

from benchmarks.cpu import loops_for
from benchmarks.dealer import Dealer, dealing
from benchmarks.dealt import Card
from benchmarks.load import Load
from benchmarks.output import Outcome, Target
from benchmarks.progress import bar
from benchmarks.rounds import TRIES, Plan, Round, Rounds, Spread, disturbance, one_round
from benchmarks.tables import listing
from prefork.simulation import Closed, Given, Poisson, Scenario, Service, simulate
from prefork.simulation import Outcome as Foretold

CORES = len(os.sched_getaffinity(0))
LEVELS = (0.5, 0.8, 0.95)
LONGER = 3
"""Times as long as the others are rounds with most requests, where queues come and go slowly."""

MOST = "most"
"""The name of a round with as many requests as are served."""

RATE_WITHIN, P99_WITHIN = 5.0, 20.0  # percent
MOST_CLIENTS = 500
"""Requests under way at a time; later ones are late, and that counts."""

AHEAD = 20_000
"""Cards for rounds of which nobody knows how many requests they have."""

PLAN = Plan(rounds=3, seconds=2.0, clients=MOST_CLIENTS, quiet=0.1)


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
            for turn in quiet_turns(kind, kind.cards(per_ms), dealer, plan):
                for name, cell in turn.items():
                    found.setdefault(name, []).append(cell)
    rounds: Rounds = {name: [cell.real for cell in cells] for name, cells in found.items()}
    return Outcome(
        question="what the simulation foretells of a pool, from the profile of single requests.",
        rounds=rounds,
        table=table(found),
        targets=list(targets(found, plan)),
        figures={
            f"foretold of {name}": [(cell.rate, cell.p50, cell.p99) for cell in cells]
            for name, cells in found.items()
        },
    )


def quiet_turns(kind: Kind, cards: list[Card], dealer: Dealer, plan: Plan) -> list[dict[str, Cell]]:
    """As many turns as the plan says, the quietest of up to TRIES times as many."""
    turns: list[dict[str, Cell]] = []
    quiet = 0

    def others(turn: dict[str, Cell]) -> float:
        return disturbance(cell.real for cell in turn.values())

    while quiet < plan.rounds and len(turns) < plan.rounds * TRIES:
        turns.append(Turn(kind, cards, dealer, plan, seed=len(turns)).cells())
        quiet += others(turns[-1]) <= plan.quiet
        bar.at(quiet / plan.rounds)
    return sorted(turns, key=others)[: plan.rounds]


class Turn:
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
        most = self._most()
        self._calibrate()
        levels = [self._level(level, most.real.rate) for level in LEVELS]
        names = [MOST, *(f"{level:.0%}" for level in LEVELS)]
        return {
            f"{self._kind.name}, {name}": cell
            for name, cell in zip(names, [most, *levels], strict=True)
        }

    def _profile(self) -> tuple[dict[Card, Service], float]:
        """What each card takes, asked for by one client, and the CPU seconds of that."""
        cards = list(islice(cycle(self._cards), AHEAD))
        self._dealer.deal(cards)
        real = one_round(self._dealer.server, replace(self._plan, clients=1))
        seen = defaultdict(list)
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

    def _most(self) -> Cell:
        """With more clients than workers, who do not pause."""
        clients, seconds = 4 * self._kind.workers, LONGER * self._plan.seconds
        self._deal(AHEAD)
        real = one_round(self._dealer.server, replace(self._plan, clients=clients, seconds=seconds))
        return self._cell(real, Closed(clients), seconds)

    def _calibrate(self) -> None:
        """Let CPU be as fast as it was in the last round."""
        took = [note.cpu for note in self._dealer.notes()]
        expected = sum(self._services[card].cpu for card in self._cards_dealt[: len(took)])
        speed = sum(took) / expected
        self._services = {
            card: Service(speed * cpu, wait) for card, (cpu, wait) in self._services.items()
        }

    def _level(self, level: float, most: float) -> Cell:
        """With requests that come when they come, so much of the most in a second."""
        seconds = self._plan.seconds * (LONGER if level == LEVELS[-1] else 1)
        times = list(until(Poisson(level * most).times(self._random), seconds))
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


def until(times: Iterator[float], end: float) -> Iterator[float]:
    for moment in times:
        if moment >= end:
            return
        yield moment


def off(pairs: Iterable[tuple[float, float]]) -> Spread:
    """By how many percent what was foretold is above what came, or below (negative)."""
    return Spread.of(100 * (foretold / came - 1) for foretold, came in pairs)


def rate_off(cells: list[Cell]) -> Spread:
    return off((cell.rate, cell.real.rate) for cell in cells)


def p99_off(cells: list[Cell]) -> Spread:
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
    yield f"{rate_off(cells).median:+.1f}"
    if latencies:
        yield f"{median(cell.real.p50 for cell in cells) / 1e3:.1f}"
        yield f"{median(cell.p50 for cell in cells) * 1e3:.1f}"
        yield f"{median(cell.real.p99 for cell in cells) / 1e3:.1f}"
        yield f"{median(cell.p99 for cell in cells) * 1e3:.1f}"
        yield f"{p99_off(cells).median:+.1f}"
    else:
        yield from [""] * 5


def median(values: Iterable[float]) -> float:
    return Spread.of(values).median


def counts_latencies(name: str) -> bool:
    """Where clients wait for answers, the latency is what their number makes it."""
    return not name.endswith(MOST)


def targets(found: dict[str, list[Cell]], plan: Plan) -> Iterator[Target]:
    for name, cells in found.items():
        quiet = max(cell.real.others for cell in cells) <= plan.quiet
        figures = [("requests per second", rate_off(cells), RATE_WITHIN)]
        if counts_latencies(name):
            figures.append(("p99", p99_off(cells), P99_WITHIN))
        for figure, spread, within in figures:
            yield Target(
                f"{name}: {figure} foretold {{:.1f}} % off",
                abs(spread.median),
                spread.margin,
                at_most=within,
                valid=quiet,
            )
