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
"""The number of trials that usually fit into the time."""
LONG_ENOUGH = 6
"""Minimum length of a trial, in consecutive requests: the queue grows until each client has had its
first answer, and there are two clients per worker."""
MOST_OUTSIDE = 0.001
"""Maximum seconds of an exchange in which it does not occupy a worker, on a loopback interface."""
LEAST_CPU = 1e-6
"""Seconds of CPU; every request costs more."""
CLIENTS = 2
"""Clients per request that the pool can have in flight: one is served while the other waits."""
SHORT = 0.05
"""Requests shorter than this, in seconds, may end before the worker's next client is ready."""

Announce = Callable[[str], Progress]
"""Called with a trial's title; its result is called with the share of the trial that has passed."""


@dataclass
class Sweep:
    """A pool, its clients, and the trials so far."""

    pool: HostedPool
    drivers: Drivers
    exchange: Exchange
    numbers: Numbers
    cores: int
    most_clients: int | None
    """The number of processes for --client; `None` if that option is not given."""
    memory_limit: int | None
    """Bytes that all workers may use together, if an option limits them."""
    announce: Announce
    trials: dict[int, list[Trial]] = field(default_factory=dict)
    """The trials of each number of workers."""
    failed_before: Counter[int] = field(default_factory=Counter)
    """Failed requests outside of trials, by the number of workers."""
    memory: dict[int, int] = field(default_factory=dict)
    """Memory of a worker in bytes, by the number of workers."""
    memory_for_workers: int | None = None
    """Bytes that all workers may use together; `None` if unknown."""
    _slots: int = 1
    _short: bool = True

    def profile(self, seconds: float) -> Baseline | None:
        """Measure how long a request takes with one worker, and how much CPU it uses.

        Return `None` if no request was served.

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
        # The time spent waiting for a core is subtracted: other programs had the cores then.
        exchange = latencies.mean - (alone.waited + alone.clients_waited) / exchanges
        service = exchange
        if self.pool.threads == 1:
            # The time before and after the exchange occupies the worker is subtracted.
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
        """Run one trial after another until `until` (monotonic clock).

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
        """Return the measurements with one number of workers."""
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
        """Resize the pool, and send new workers their first request before they are measured.

        During its first request a worker copies the pages that it shares with its master, so that
        request costs many times as much as any other.
        """
        grows = workers > self.pool.workers
        self.pool.resize(workers)
        if grows:
            first = self.pool.run_trial(self.drivers, self._order(self._in_flight))
            self.failed_before[workers] += first.measured.failures

    def _weigh(self) -> None:
        """Read how much memory a worker uses after serving, and how much is left for others."""
        if (each := self.pool.memory()) is None:
            return
        self.memory[self.pool.workers] = each
        left = memory_left()
        known = [self.memory_limit, None if left is None else self.pool.workers * each + left]
        self.memory_for_workers = min((one for one in known if one is not None), default=None)

    @property
    def _in_flight(self) -> int:
        """Maximum number of requests that the pool can have in flight."""
        return self.pool.workers * self._slots

    @property
    def _clients(self) -> int:
        # With long requests, more clients than this would time out; with short ones, fewer clients
        # would leave workers idle.
        return CLIENTS * (max(self.cores, self._in_flight) if self._short else self._in_flight)

    def _run_trial(self, title: str, clients: int, seconds: float) -> Trial:
        order = self._order(clients, seconds)
        return self.pool.run_trial(self.drivers, order, self.announce(title))

    def _order(self, clients: int, seconds: float = 0.0) -> Order:
        """Return an order for that many clients; with 0 seconds, for one request from each."""
        clients = clients if self.most_clients is None else min(clients, self.most_clients)
        warm_up, counted = WARM_UP * seconds, (1 - WARM_UP) * seconds
        return Order(self.pool.address, clients, warm_up, counted, self.exchange)
