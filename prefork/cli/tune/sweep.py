"""The measurements: one worker and one client, then pools of several sizes in turns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, median

from prefork.advice.forecast import Sample
from prefork.advice.recommendation import Place, Profile, knee
from prefork.cli.tune.conclusions import Alone, Size
from prefork.cli.tune.counts import Numbers
from prefork.cli.tune.hosted_pool import HostedPool
from prefork.cli.tune.search import fewest_turns, next_turn
from prefork.loadtest.drivers import Drivers, Progress
from prefork.loadtest.protocol import Exchange, Order
from prefork.loadtest.schedule import WARM_UP
from prefork.loadtest.trials import Summary, Trial, undisturbed
from prefork.readings.memory import memory_left

TURNS = 50
"""For which the time is enough, as a rule."""
LONG_ENOUGH = 6
"""Requests one after the other in a turn, at least: until each client has had its first answer the
queue grows, and there are two clients for each worker."""
MOST_OUTSIDE = 0.001
"""Seconds of an exchange in which it does not occupy a worker: no loopback takes longer."""
LEAST_CPU = 1e-6
"""Seconds; less than any request costs."""
CLIENTS = 2
"""For each request that the pool can have in hand: one is served, and one waits."""
SHORT = 0.05
"""Seconds of a request, below which a worker may be done before its two clients are ready."""

Announce = Callable[[str], Progress]
"""Called with what a turn is for; what it gives is told the share of the turn that has gone by."""


@dataclass
class Sweep:
    """A pool and its clients, and what its turns have given."""

    pool: HostedPool
    drivers: Drivers
    exchange: Exchange
    numbers: Numbers
    cores: int
    most_clients: int | None
    """As many as there are processes of a --client."""
    memory_said: int | None
    """Bytes that all workers may take together, where that was said."""
    announce: Announce
    turns: dict[int, list[Trial]] = field(default_factory=dict)
    """Of each number of workers that was tried."""
    failed_before: Counter[int] = field(default_factory=Counter)
    """Requests that failed in no turn, by the number of workers."""
    memory: dict[int, int] = field(default_factory=dict)
    """Bytes of a worker, with so many of them."""
    memory_for_workers: int | None = None
    """Bytes that all workers may take together."""
    _slots: int = 1
    _short: bool = True

    def profile(self, seconds: float) -> Alone | None:
        """One worker: how long a request takes it, and what of that on a core; `None` where no
        request was served.

        Errors: `Refusal`, `ChildFailed`.
        """
        self._resize(1)
        alone = self._turn("1 worker, 1 client", 1, seconds / 2)
        self._short = bool(alone.measured.took) and fmean(alone.measured.took) < SHORT
        crowded = self._turn(self.pool.title, self._clients, seconds / 2)
        self.turns[1] = [crowded]
        self._weigh()
        if not alone.measured.took or not crowded.measured.exchanges:
            return None
        cpu = max(crowded.cpu / crowded.measured.exchanges, LEAST_CPU)
        # To wait for a core is not to wait, here: others have them on a machine that is not quiet.
        took, exchanges = alone.measured.took, alone.measured.exchanges
        exchange = fmean(took) - (alone.waited + alone.clients_waited) / exchanges
        service = exchange
        if self.pool.threads == 1:
            # Without what an exchange takes before and after it occupies the worker.
            waited = crowded.waited / crowded.measured.exchanges
            occupied = 1 / crowded.measured.rate - waited
            service = min(exchange, max(occupied, exchange - MOST_OUTSIDE))
        service = max(service, cpu)
        sample = Sample.of(took, service, cpu, max(0.0, exchange - service))
        useful = max(1, round(service / cpu))
        self._slots = min(self.pool.threads or useful, useful)
        memory = self.memory.get(1)
        datagrams = self.exchange.datagrams
        profile = Profile(service, cpu, sample.spread, memory, self._slots, datagrams)
        return Alone(profile, sample)

    def measure(self, alone: Alone, until: float) -> None:
        """Trial after turn, until then by the monotonic clock.

        Errors: `Refusal`, `ChildFailed`.
        """
        start = knee(alone.profile, Place(self.cores))
        seconds = max((until - time.monotonic()) / TURNS, LONG_ENOUGH * alone.profile.service)
        while (left := until - time.monotonic()) > seconds / 2:
            wanted = self._next(start)
            self._resize(wanted)
            turn = self._turn(self.pool.title, self._clients, min(left, seconds))
            self.turns.setdefault(wanted, []).append(turn)
            self._weigh()

    def size(self, workers: int) -> Size:
        """What its turns say of one number of workers."""
        turns = self.turns[workers]
        quiet = undisturbed(turns)
        cores = [
            turn.clients_cpu / turn.measured.exchanges * turn.measured.rate
            for turn in quiet
            if turn.measured.exchanges
        ]
        summary = Summary.of(quiet)._replace(
            requests=sum(turn.measured.exchanges for turn in turns),
            failures=sum((turn.measured.failures for turn in turns), self.failed_before[workers]),
        )
        clients_cores = median(cores) if cores else 0.0
        return Size(workers, summary, clients_cores, self.memory.get(workers), len(quiet))

    @property
    def most(self) -> int:
        """Workers that may be tried."""
        bounds = [self.numbers.most]
        if self.most_clients is not None:
            bounds.append(self.most_clients)
        if self.memory_for_workers is not None:
            bounds.append(self.memory_for_workers // self.memory[max(self.memory)])
        return max(1, min(bounds))

    def _next(self, start: int) -> int:
        rates = {
            number: [turn.measured.rate for turn in undisturbed(turns)]
            for number, turns in self.turns.items()
        }
        present, most = self.pool.workers, self.most
        if listed := [n for n in self.numbers.listed if n <= most]:
            return fewest_turns(rates, listed, present)
        return next_turn(rates, present, start, min(self.numbers.least, most), most)

    def _resize(self, workers: int) -> None:
        """Where some are new, as many requests as workers before they are measured: with its first
        one a worker pays for the pages that it has from its master, and that is many times what
        another costs."""
        grows = workers > self.pool.workers
        self.pool.resize(workers)
        if grows:
            first = self.pool.take(self.drivers, self._order(self._in_hand))
            self.failed_before[workers] += first.measured.failures

    def _weigh(self) -> None:
        """Read what a worker takes, now that it has served, and what is left for more."""
        if (each := self.pool.memory()) is None:
            return
        self.memory[self.pool.workers] = each
        left = memory_left()
        known = [self.memory_said, None if left is None else self.pool.workers * each + left]
        self.memory_for_workers = min((one for one in known if one is not None), default=None)

    @property
    def _in_hand(self) -> int:
        """Requests that the pool can have in hand at a time."""
        return self.pool.workers * self._slots

    @property
    def _clients(self) -> int:
        # Long requests would wait for longer than clients do, and short ones for clients.
        return CLIENTS * (max(self.cores, self._in_hand) if self._short else self._in_hand)

    def _turn(self, what: str, clients: int, seconds: float) -> Trial:
        return self.pool.take(self.drivers, self._order(clients, seconds), self.announce(what))

    def _order(self, clients: int, seconds: float = 0.0) -> Order:
        """With 0 seconds, a request of each client."""
        clients = clients if self.most_clients is None else min(clients, self.most_clients)
        warm_up, counted = WARM_UP * seconds, (1 - WARM_UP) * seconds
        return Order(self.pool.address, clients, warm_up, counted, self.exchange)
