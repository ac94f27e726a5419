"""The measurements: one worker and one client, then more and more workers, then rounds in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, median

from prefork.advice.forecast import Sample
from prefork.advice.recommendation import Place, Profile, knee
from prefork.cli.load.drivers import Drivers, Progress
from prefork.cli.load.orders import Exchange, Order
from prefork.cli.load.plan import WARM_UP, length_of, rounds_for, turns
from prefork.cli.load.turns import Summary, Turn
from prefork.cli.tune.conclusions import Alone, Size
from prefork.cli.tune.pool import Pool
from prefork.cli.tune.search import around, next_number
from prefork.cli.tune.words import Numbers
from prefork.readings.memory import memory_left

PROBES = 10
"""Numbers that are tried until the knee is found, as a rule."""
LONG_ENOUGH = 6
"""Requests one after the other in a turn, at least: until each client has had its first answer the
queue grows, and there are two clients for each worker."""
LEAST_CPU = 1e-6
"""Seconds; less than any request costs."""
CLIENTS = 2
"""For each request that the pool can have in hand: one is served, and one waits."""
IN_ROUNDS = 6
"""Numbers that are measured again and again, around the knee."""

Announce = Callable[[str, float], Progress]
"""Called with what a turn is for and the seconds that it takes; what it gives is told the share of
them that has gone by."""


@dataclass
class Sweep:
    """A pool and its clients, and what its turns have given."""

    pool: Pool
    drivers: Drivers
    exchange: Exchange
    numbers: Numbers
    cores: int
    most_clients: int | None
    """As many as there are processes of a --client."""
    memory_said: int | None
    """Bytes that all workers may take together, where that was said."""
    announce: Announce
    turns: dict[int, list[Turn]] = field(default_factory=dict)
    """Of each number of workers that was tried."""
    memory: dict[int, int] = field(default_factory=dict)
    """Bytes of a worker, with so many of them."""
    memory_for_workers: int | None = None
    """Bytes that all workers may take together."""
    rounds: int = 0
    _slots: int = 1

    def profile(self, seconds: float) -> Alone | None:
        """One worker: how long a request takes it, and what of that on a core; `None` where no
        request was served.

        Errors: `Refusal`, `ChildFailed`.
        """
        self.pool.resize(1)
        took = self._turn("one client", 1, seconds / 2).measured.took
        crowded = self._turn("more clients", CLIENTS * self.cores, seconds / 2)
        self.turns[1] = [crowded]
        self._weigh()
        if not took or not crowded.measured.exchanges:
            return None
        service = fmean(took)
        if self.pool.threads == 1:
            # Without what an exchange takes before and after it occupies the worker.
            service = min(service, 1 / crowded.measured.rate)
        cpu = max(crowded.cpu / crowded.measured.exchanges, LEAST_CPU)
        sample = Sample.of(took, service, cpu)
        useful = max(1, round(service / cpu))
        self._slots = min(self.pool.threads or useful, useful)
        memory = self.memory.get(1)
        return Alone(Profile(service, cpu, sample.spread, memory, self._slots), sample)

    def search(self, alone: Alone, until: float) -> None:
        """Try numbers, until the knee is found or the time is over.

        Errors: `Refusal`, `ChildFailed`.
        """
        start = knee(alone.profile, Place(self.cores))
        seconds = max((until - time.monotonic()) / PROBES, LONG_ENOUGH * alone.profile.service)
        while time.monotonic() < until and (wanted := self._next(start)) is not None:
            self.pool.resize(wanted)
            self.turns[wanted] = [self._turn("looking for the knee", self._clients, seconds)]
            self._weigh()

    def in_rounds(self, until: float) -> None:
        """Measure those around the knee in turns, as long as there is time.

        Errors: `Refusal`, `ChildFailed`.
        """
        rates = {number: self._rate(number) for number in self.turns}
        chosen = around(rates, len(rates) if self.numbers.listed else IN_ROUNDS)
        self.rounds = rounds_for(until - time.monotonic(), len(chosen), self.pool.tail)
        planned = list(turns(self.rounds, len(chosen)))
        for number, (round_, place) in enumerate(planned):
            self.pool.resize(chosen[place])
            if (left := until - time.monotonic()) <= 0:
                break
            seconds = length_of(left, len(planned) - number, self.pool.tail)
            what = f"round {round_ + 1} of {self.rounds}"
            self.turns[chosen[place]].append(self._turn(what, self._clients, seconds))

    def size(self, workers: int) -> Size:
        """What its turns say of one number of workers."""
        turns = self.turns[workers]
        served = [turn for turn in turns if turn.measured.exchanges]
        cores = [turn.clients_cpu / turn.measured.exchanges * turn.measured.rate for turn in served]
        return Size(
            workers, Summary.of(turns), median(cores) if cores else 0.0, self.memory.get(workers)
        )

    @property
    def most(self) -> int:
        """Workers that may be tried."""
        bounds = [self.numbers.most]
        if self.most_clients is not None:
            bounds.append(self.most_clients)
        if self.memory_for_workers is not None:
            bounds.append(self.memory_for_workers // self.memory[max(self.memory)])
        return max(1, min(bounds))

    def _next(self, start: int) -> int | None:
        if self.numbers.listed:
            left = (n for n in self.numbers.listed if n <= self.most and n not in self.turns)
            return next(left, None)
        rates = {number: self._rate(number) for number in self.turns}
        return next_number(rates, start, min(self.numbers.least, self.most), self.most)

    def _rate(self, workers: int) -> float:
        return median(turn.measured.rate for turn in self.turns[workers])

    def _weigh(self) -> None:
        """Read what a worker takes, now that it has served, and what is left for more."""
        if (each := self.pool.memory()) is None:
            return
        self.memory[self.pool.workers] = each
        left = memory_left()
        known = [self.memory_said, None if left is None else self.pool.workers * each + left]
        self.memory_for_workers = min((one for one in known if one is not None), default=None)

    @property
    def _clients(self) -> int:
        return CLIENTS * max(self.cores, self.pool.workers * self._slots)

    def _turn(self, what: str, clients: int, seconds: float) -> Turn:
        clients = clients if self.most_clients is None else min(clients, self.most_clients)
        warm_up, counted = WARM_UP * seconds, (1 - WARM_UP) * seconds
        order = Order(self.pool.address, clients, warm_up, counted, self.exchange)
        return self.pool.take(self.drivers, order, self.announce(what, seconds))
