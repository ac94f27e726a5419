"""The pool at work, one event after the other.

In the model

- **Arrivals** are open (Poisson, or recorded times) or closed (clients that pause). Those for whom
  there is no place in the backlog come again after the kernel's retries.
- **The backlog** is first come, first served. Who is in it is taken by the first worker with room;
  an idle worker is chosen as the kernel chooses it: line.py.
- **A request** costs its worker CPU, then it waits, then it costs CPU again: half of what its
  service says before, half after the wait, for a handler reads, asks, and renders. The overhead is
  shared out alike.
- **The cores** have a queue each, and slices, as Linux has them: processors.py. Clients on the same
  machine are one process there; their CPU is paid before the request is sent.
- **Threads** of a worker have one interpreter: one of them is on a core, the others wait for it,
  and take turns after the interpreter's switch interval.
- **Sizes** are a number, or what a policy decides at its looks: pool.py.

Not in the model: cores that are slower when all are busy (threads of one core, caches, frequency),
garbage collection, other programs on the machine, workers that die.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import takewhile
from math import inf
from random import Random

from prefork.simulation.arrivals import Closed, spans
from prefork.simulation.histogram import Histogram
from prefork.simulation.idle_queue import Request, Worker
from prefork.simulation.outcome import Outcome
from prefork.simulation.processors import Processors
from prefork.simulation.scenario import Scenario, ScenarioError, Service
from prefork.simulation.simulated_pool import SimulatedPool
from prefork.simulation.timers import (
    ASK,
    CLIENTS,
    CLOSE,
    LOOK,
    NEVER,
    OPEN,
    READY,
    RETRY,
    SETTLE,
    Timer,
)

SENDING = -1
"""Who is on a core for a client."""

INSTANT = 1e-9
"""Seconds that floating point may leave over."""

MOST_AT_ONCE = 1000
"""Requests of one client at one moment, on average, from which on it is taken to ask for ever."""

PATIENCE = 600.0
"""Seconds after the end for which a policy may leave requests in the backlog."""


def simulate(scenario: Scenario) -> Outcome:
    """Play a scenario; the same one has always the same outcome.

    A policy in it is used up: it remembers what it has decided.

    Errors: `ScenarioError` where clients ask for ever at one moment.
    """
    return _Engine(scenario).run()


class _Engine:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._now = 0.0
        self._cores = Processors(scenario.cores, scenario.slice, Random(f"{scenario.seed} cores"))
        self._timers: list[Timer] = [
            (inf, NEVER, 0.0, 0.0),
            (scenario.warm_up, OPEN, 0.0, 0.0),
            (scenario.seconds, CLOSE, 0.0, 0.0),
        ]
        self._pool = SimulatedPool(scenario, self._timers, self._cores)
        self._workers = self._pool.workers
        self._line = self._pool.line
        self._threads = self._pool.threads
        self._switch_interval = sys.getswitchinterval() if self._threads > 1 else inf
        self._backlog: deque[float] = deque()  # when each came
        self._sending: deque[float] = deque()
        self._latencies, self._waits = Histogram(), Histogram()
        self._largest_backlog = self._turned_away = self._lost = 0
        self._arrived = self._answered = self._answered_in_time = 0
        self._clients = 0  # closed: those that there are
        self._clients_wanted = 0
        self._asked, self._asked_at = 0, -inf  # so many requests at the last moment
        self._pauses = Random(f"{scenario.seed} pauses")
        self._opened = self._closed = (0.0, 0.0, 0.0)
        self._is_closed = isinstance(scenario.arrivals, Closed)
        self._draw = drawing(scenario)
        self._rare: dict[int, Callable[[float, float], None]] = {
            LOOK: self._look,
            SETTLE: self._settle,
            READY: self._ready,
            RETRY: self._retry,
            ASK: self._ask,
            CLIENTS: self._change_clients,
            OPEN: self._open,
            CLOSE: self._close,
        }

    def run(self) -> Outcome:
        timers, cores, workers = self._timers, self._cores, self._workers
        arrivals = self._comings()
        coming = next(arrivals, inf)
        heapify(timers)
        self._pool.look_later(0.0)
        while True:
            # The next event: somebody comes, is done on a core, or has waited long enough.
            computed, waited = cores.next_event, timers[0][0]
            if coming <= computed and coming <= waited:
                if coming == inf:
                    break
                self._now = coming
                self._come(coming)
                coming = next(arrivals, inf)
            elif computed <= waited:
                self._now = computed
                who = cores.done()
                if who >= 0:
                    self._computed(workers[who])
                elif who == SENDING:
                    self._sent()
                cores.release()
            else:
                self._now, who, figure, came = heappop(timers)
                if who >= 0:
                    self._run(workers[who], (figure, 0.0, 0.0, came))
                else:
                    self._rare[who](figure, came)
        return self._outcome()

    # A request's way.

    def _come(self, now: float) -> None:
        self._arrived += 1
        if self._scenario.client_cpu:
            self._sending.append(now)
            if len(self._sending) == 1:
                self._cores.add(SENDING, self._scenario.client_cpu, now)
        else:
            self._reach(now)

    def _sent(self) -> None:
        came = self._sending.popleft()
        if self._sending:
            self._cores.add(SENDING, self._scenario.client_cpu, self._now)
        self._reach(came)

    def _reach(self, came: float, tries: int = 0) -> None:
        """The request is at the listener."""
        backlog = self._backlog
        if self._line:
            self._begin(self._workers[self._line.take()], came, woken=True)
        elif len(backlog) <= self._scenario.backlog:
            backlog.append(came)
            if len(backlog) > self._largest_backlog:
                self._largest_backlog = len(backlog)
            if self._pool.sizing is not None and self._pool.sizing.at_once:
                self._look_now()
        else:
            self._turn_away(came, tries)

    def _turn_away(self, came: float, tries: int) -> None:
        self._turned_away += 1
        if tries < len(self._scenario.retries):
            again = self._now + self._scenario.retries[tries]
            heappush(self._timers, (again, RETRY, tries + 1, came))
        else:
            self._lost += 1
            self._pause()

    def _begin(self, worker: Worker, came: float, woken: bool = False) -> None:
        """The worker takes the request; `woken` by it, if it has waited for one."""
        now = self._now
        if came >= self._scenario.warm_up:
            self._waits.record(now - came)
        if not worker.in_hand:
            worker.since = now
        worker.in_hand += 1
        if worker.in_hand < self._threads:
            self._line.join(worker)
        elif self._threads > 1:
            worker.turns = 0  # it leaves the line
        cpu, wait, after = self._draw()
        self._run(worker, (cpu, wait, after, came), woken)

    def _run(self, worker: Worker, request: Request, woken: bool = False) -> None:
        """Its thread can run, and does if none of the others holds the interpreter."""
        if worker.on_cpu is None:
            self._put_on_cpu(worker, request, woken)
        else:
            worker.runnable.append(request)

    def _put_on_cpu(self, worker: Worker, request: Request, woken: bool = False) -> None:
        worker.on_cpu = request
        self._cores.add(worker.number, min(request[0], self._switch_interval), self._now, woken)

    def _computed(self, worker: Worker) -> None:
        """The thread on a core is done, or has to let the next one run."""
        assert worker.on_cpu is not None
        cpu, wait, after, came = worker.on_cpu
        worker.on_cpu = None
        left = cpu - self._switch_interval
        if left > INSTANT:
            worker.runnable.append((left, wait, after, came))
        if worker.runnable:
            self._put_on_cpu(worker, worker.runnable.popleft())
        if left > INSTANT:
            return
        if wait:
            heappush(self._timers, (self._now + wait, worker.number, after, came))
        else:
            self._answer(worker, came)

    def _answer(self, worker: Worker, came: float) -> None:
        now = self._now
        self._answered += 1
        worker.served += 1
        if came >= self._scenario.warm_up:
            self._latencies.record(now - came)
        if self._scenario.warm_up <= now < self._scenario.seconds:
            self._answered_in_time += 1
        if worker.in_hand == self._threads:
            self._line.join(worker)
        else:
            worker.turns -= 1  # a thread that ends wakes its worker up
        worker.in_hand -= 1
        if not worker.in_hand:
            worker.busy += now - worker.since
            worker.since = now
        if self._backlog:
            self._begin(self._workers[self._line.take()], self._backlog.popleft())
        if self._is_closed:
            self._pause()

    # Clients who wait for their answers.

    def _pause(self) -> None:
        arrivals = self._scenario.arrivals
        if isinstance(arrivals, Closed):
            heappush(self._timers, (self._now + arrivals.pause(self._pauses), ASK, 0.0, 0.0))

    def _ask(self, *_: float) -> None:
        if self._now < self._scenario.seconds and self._clients <= self._clients_wanted:
            self._see_that_time_passes()
            self._come(self._now)
        else:
            self._clients -= 1

    def _see_that_time_passes(self) -> None:
        """Whose request takes no time, or who is turned away at once, asks again at once."""
        if self._now > self._asked_at:
            self._asked, self._asked_at = 0, self._now
        self._asked += 1
        if self._asked > MOST_AT_ONCE * self._clients:
            raise ScenarioError(
                "Clients ask for ever at one moment: neither pauses, nor requests, nor being "
                "turned away take time."
            )

    def _change_clients(self, count: float, _: float) -> None:
        self._clients_wanted = int(count)
        while self._clients < self._clients_wanted:
            self._clients += 1
            self._come(self._now)

    # What happens now and then.

    def _retry(self, tries: float, came: float) -> None:
        self._reach(came, int(tries))

    def _look(self, *_: float) -> None:
        if self._now == self._pool.look_due:  # otherwise there was one meanwhile
            self._look_now()

    def _look_now(self) -> None:
        self._pool.look(self._now, len(self._backlog))
        under_way = self._arrived > self._answered + self._lost
        if self._now < self._scenario.seconds + (PATIENCE if under_way else 0.0):
            self._pool.look_later(self._now)

    def _settle(self, *_: float) -> None:
        self._pool.settle_again(self._now)

    def _ready(self, number: float, _: float) -> None:
        self._pool.ready(int(number), self._now)
        while self._backlog and self._line:
            self._begin(self._workers[self._line.take()], self._backlog.popleft())

    def _open(self, *_: float) -> None:
        self._opened = self._pool.clocks(self._now)

    def _close(self, *_: float) -> None:
        self._closed = self._pool.clocks(self._now)

    # The beginning and the end.

    def _comings(self) -> Iterator[float]:
        """When requests come that are not somebody's next."""
        scenario = self._scenario
        if isinstance(scenario.arrivals, Closed):
            for start, _, count in spans(scenario.arrivals.clients):
                heappush(self._timers, (start, CLIENTS, count, 0.0))
            return iter(())
        times = scenario.arrivals.times(Random(f"{scenario.seed} arrivals"))
        return takewhile(lambda moment: moment < scenario.seconds, times)

    def _outcome(self) -> Outcome:
        scenario, pool = self._scenario, self._pool
        seconds = scenario.seconds - scenario.warm_up
        busy, present, used = (
            after - before for before, after in zip(self._opened, self._closed, strict=True)
        )
        return Outcome(
            arrived=self._arrived,
            answered=self._answered,
            turned_away=self._turned_away,
            lost=self._lost,
            unanswered=self._arrived - self._answered - self._lost,
            throughput=self._answered_in_time / seconds,
            latencies=self._latencies,
            waits=self._waits,
            busy_share=busy / present if present else 0.0,
            cpu_share=used / (seconds * scenario.cores),
            largest_backlog=self._largest_backlog,
            served=[worker.served for worker in self._workers],
            sizes=pool.sizes,
            decisions=pool.decisions,
        )


def drawing(scenario: Scenario) -> Callable[[], tuple[float, float, float]]:
    """What draws a request: CPU seconds before its wait, the wait, CPU seconds after it."""
    draw = Random(f"{scenario.seed} services")
    services = scenario.services

    def parts(service: Service) -> tuple[float, float, float]:
        cpu, wait = service.cpu + scenario.overhead, service.wait
        return (cpu / 2, wait, cpu / 2) if wait else (cpu, 0.0, 0.0)

    if callable(services):
        return lambda: parts(services(draw))
    measured = [parts(each) for each in services]
    return lambda: measured[int(draw.random() * len(measured))]
