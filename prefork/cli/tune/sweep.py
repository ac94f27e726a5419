"""The measurements: one worker with one client, then trials of pools of several sizes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from prefork.advice.forecast import Sample
from prefork.advice.recommendation import Profile, Resources, knee
from prefork.cli.tune.conclusions import Baseline, Size
from prefork.cli.tune.hosted_pool import HostedPool
from prefork.cli.tune.parsing import Numbers
from prefork.cli.tune.search import fewest_trials, next_trial
from prefork.loadtest.drivers import Drivers, Progress
from prefork.loadtest.protocol import Exchange, Order
from prefork.loadtest.schedule import WARM_UP
from prefork.loadtest.trials import Summary, Trial, undisturbed
from prefork.readings.memory import memory_left

TRIALS = 50
"""How many fit into the time, as a rule."""
LONG_ENOUGH = 6
"""Consecutive requests in a trial, at least: until each client has had its first answer the queue
grows, and there are two clients for each worker."""
MOST_OUTSIDE = 0.001
"""Seconds of an exchange for which it does not occupy a worker: no loopback takes longer."""
LEAST_CPU = 1e-6
"""Seconds; every request costs more."""
CLIENTS = 2
"""For each request that the pool can have in hand: one is served while one waits."""
SHORT = 0.05
"""Seconds of a request, below which a worker may finish before its two clients are ready."""

Announce = Callable[[str], Progress]
"""Called with the title of a trial; the result is called with the share of it that has passed."""


@dataclass
class Sweep:
    """A pool, its clients, and the trials so far."""

    pool: HostedPool
    drivers: Drivers
    exchange: Exchange
    numbers: Numbers
    cores: int
    most_clients: int | None
    """The number of processes of a --client."""
    memory_limit: int | None
    """Bytes that all workers may use together, as an option set it."""
    announce: Announce
    trials: dict[int, list[Trial]] = field(default_factory=dict)
    """Of each number of workers that was tried."""
    failed_before: Counter[int] = field(default_factory=Counter)
    """Failed requests outside of trials, by the number of workers."""
    memory: dict[int, int] = field(default_factory=dict)
    """Bytes of a worker, by the number of workers."""
    memory_for_workers: int | None = None
    """Bytes that all workers may use together."""
    _slots: int = 1
    _short: bool = True

    def profile(self, seconds: float) -> Baseline | None:
        """Measure one worker: how long a request takes, and how much CPU; `None` if no request was
        served.

        Errors: `StartRefused`, `ChildFailed`.
        """
        self._resize(1)
        alone = self._run_trial("1 worker, 1 client", 1, seconds / 2)
        latencies, exchanges = alone.measured.latencies, alone.measured.exchanges
        self._short = latencies.count > 0 and latencies.mean < SHORT
        crowded = self._run_trial(self.pool.title, self._clients, seconds / 2)
        self.trials[1] = [crowded]
        self._weigh()
        if not latencies.count or not crowded.measured.exchanges:
            return None
        cpu = max(crowded.cpu / crowded.measured.exchanges, LEAST_CPU)
        # Without the time spent queueing for a core: other programs have the cores meanwhile.
        exchange = latencies.mean - (alone.waited + alone.clients_waited) / exchanges
        service = exchange
        if self.pool.threads == 1:
            # Without what an exchange takes before and after it occupies the worker.
            waited = crowded.waited / crowded.measured.exchanges
            occupied = 1 / crowded.measured.rate - waited
            service = min(exchange, max(occupied, exchange - MOST_OUTSIDE))
        service = max(service, cpu)
        sample = Sample.of(latencies, service, cpu, max(0.0, exchange - service))
        useful = max(1, round(service / cpu))
        self._slots = min(self.pool.threads or useful, useful)
        memory = self.memory.get(1)
        datagrams = self.exchange.datagrams
        profile = Profile(service, cpu, sample.spread, memory, self._slots, datagrams)
        return Baseline(profile, sample)

    def measure(self, baseline: Baseline, until: float) -> None:
        """Run trial after trial until then (monotonic clock).

        Errors: `StartRefused`, `ChildFailed`.
        """
        start = knee(baseline.profile, Resources(self.cores))
        seconds = max((until - time.monotonic()) / TRIALS, LONG_ENOUGH * baseline.profile.service)
        while (left := until - time.monotonic()) > seconds / 2:
            wanted = self._next(start)
            self._resize(wanted)
            trial = self._run_trial(self.pool.title, self._clients, min(left, seconds))
            self.trials.setdefault(wanted, []).append(trial)
            self._weigh()

    def size(self, workers: int) -> Size:
        """The result for one number of workers."""
        trials = self.trials[workers]
        quiet = undisturbed(trials)
        cores = [
            trial.clients_cpu / trial.measured.exchanges * trial.measured.rate
            for trial in quiet
            if trial.measured.exchanges
        ]
        measured = [trial.measured for trial in trials]
        summary = Summary.of(quiet)._replace(
            requests=sum(each.exchanges for each in measured),
            failures=sum((each.failures for each in measured), self.failed_before[workers]),
        )
        clients_cores = median(cores) if cores else 0.0
        return Size(workers, summary, clients_cores, self.memory.get(workers))

    @property
    def most(self) -> int:
        """The largest number of workers that may be tried."""
        bounds = [self.numbers.most]
        if self.most_clients is not None:
            bounds.append(self.most_clients)
        if self.memory_for_workers is not None:
            bounds.append(self.memory_for_workers // self.memory[max(self.memory)])
        return max(1, min(bounds))

    def _next(self, start: int) -> int:
        rates = {
            number: [trial.measured.rate for trial in undisturbed(trials)]
            for number, trials in self.trials.items()
        }
        present, most = self.pool.workers, self.most
        if listed := [n for n in self.numbers.listed if n <= most]:
            return fewest_trials(rates, listed, present)
        return next_trial(rates, present, start, min(self.numbers.least, most), most)

    def _resize(self, workers: int) -> None:
        """Resize the pool, and send new workers their first request before they are measured: with
        it a worker copies the pages that it shares with its master, at many times the cost of any
        other request."""
        grows = workers > self.pool.workers
        self.pool.resize(workers)
        if grows:
            first = self.pool.run_trial(self.drivers, self._order(self._in_hand))
            self.failed_before[workers] += first.measured.failures

    def _weigh(self) -> None:
        """Read how much memory a worker uses now that it has served, and what is left for more."""
        if (each := self.pool.memory()) is None:
            return
        self.memory[self.pool.workers] = each
        left = memory_left()
        known = [self.memory_limit, None if left is None else self.pool.workers * each + left]
        self.memory_for_workers = min((one for one in known if one is not None), default=None)

    @property
    def _in_hand(self) -> int:
        """Requests that the pool can have in hand concurrently."""
        return self.pool.workers * self._slots

    @property
    def _clients(self) -> int:
        # More clients than this for long requests would time out, fewer for short ones would leave
        # workers idle.
        return CLIENTS * (max(self.cores, self._in_hand) if self._short else self._in_hand)

    def _run_trial(self, title: str, clients: int, seconds: float) -> Trial:
        order = self._order(clients, seconds)
        return self.pool.run_trial(self.drivers, order, self.announce(title))

    def _order(self, clients: int, seconds: float = 0.0) -> Order:
        """An order for this many clients; with 0 seconds, for one request of each."""
        clients = clients if self.most_clients is None else min(clients, self.most_clients)
        warm_up, counted = WARM_UP * seconds, (1 - WARM_UP) * seconds
        return Order(self.pool.address, clients, warm_up, counted, self.exchange)
