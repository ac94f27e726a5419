"""Plays a scenario, event by event.

The model includes

- **Arrivals**: open (Poisson, or recorded times) or closed (clients that pause). A client that
  finds the backlog full tries again after the kernel's retry intervals.
- **The backlog**: first in, first out. A waiting request goes to the first worker with capacity;
  an idle worker is chosen as the kernel chooses it (idle_queue.py).
- **Requests**: each uses CPU, then waits, then uses CPU again. Half of the CPU is used before the
  wait and half after it: a handler reads, queries, and renders. So is half of the overhead.
- **Cores**: each has a queue, and time slices as in Linux (processors.py). All clients on the same
  machine are one process there; they use their CPU before the request is sent.
- **Threads** of a worker share one interpreter: one of them is on a core, the others wait, and they
  alternate after the interpreter's switch interval.
- **Sizes**: a fixed number, or as a policy decides at its looks (simulated_pool.py).

It omits cores that are slower when all are busy (hardware threads, caches, frequency), garbage
collection, other programs on the machine, and workers that die.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import takewhile
from math import inf
from random import Random

from prefork.simulation.arrivals import Closed, spans
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
from prefork.state.histogram import Histogram

SENDING = -1
"""The number of the clients' process on the cores."""

INSTANT = 1e-9
"""Seconds that may be left over because of floating-point rounding."""

MOST_AT_ONCE = 1000
"""Average number of requests of one client at the same simulated time above which the scenario is
rejected, since the time would not advance."""

PATIENCE = 600.0
"""Seconds after the end for which requests in the backlog may still wait for the policy."""


def simulate(scenario: Scenario) -> Outcome:
    """Play a scenario and return the outcome; the same scenario always has the same outcome.

    A policy in it cannot be used again, since it keeps state.

    Errors: `ScenarioError` if clients send requests without limit at the same simulated time.
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
        self._idle_queue = self._pool.idle_queue
        self._threads = self._pool.threads
        self._switch_interval = scenario.switch_interval if self._threads > 1 else inf
        self._backlog: deque[float] = deque()  # when each arrived
        self._sending: deque[float] = deque()
        self._latencies, self._waits = Histogram(), Histogram()
        self._largest_backlog = self._turned_away = self._lost = 0
        self._arrived = self._answered = self._answered_in_time = 0
        self._clients = 0  # the present number, with closed arrivals
        self._clients_wanted = 0
        self._last_moment = -inf
        self._requests_then = 0
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
        arrivals = self._arrivals()
        next_arrival = next(arrivals, inf)
        heapify(timers)
        self._pool.look_later(0.0)
        while True:
            # The next event: an arrival, the end of work on a core, or a timer.
            computed, waited = cores.next_event, timers[0][0]
            if next_arrival <= computed and next_arrival <= waited:
                if next_arrival == inf:
                    break
                self._now = next_arrival
                self._arrive(next_arrival)
                next_arrival = next(arrivals, inf)
            elif computed <= waited:
                self._now = computed
                number = cores.done()
                if number >= 0:
                    self._computed(workers[number])
                elif number == SENDING:
                    self._sent()
                cores.release()
            else:
                self._now, number, figure, came = heappop(timers)
                if number >= 0:
                    self._run(workers[number], (figure, 0.0, 0.0, came))
                else:
                    self._rare[number](figure, came)
        return self._outcome()

    # What happens to a request.

    def _arrive(self, now: float) -> None:
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
        """Process a request that has reached the listener."""
        backlog = self._backlog
        if self._idle_queue:
            self._begin(self._workers[self._idle_queue.take()], came, woken=True)
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
        """Let a worker take the request; `woken`: the worker was idle, and the request wakes it."""
        now = self._now
        if came >= self._scenario.warm_up:
            self._waits.record(now - came)
        if not worker.in_hand:
            worker.since = now
        worker.in_hand += 1
        if worker.in_hand < self._threads:
            self._idle_queue.join(worker)
        elif self._threads > 1:
            worker.turns = 0  # it leaves the queue of idle workers
        cpu, wait, after = self._draw()
        self._run(worker, (cpu, wait, after, came), woken)

    def _run(self, worker: Worker, request: Request, woken: bool = False) -> None:
        """Let a thread of the worker run, as soon as no other thread holds the interpreter."""
        if worker.on_cpu is None:
            self._put_on_cpu(worker, request, woken)
        else:
            worker.runnable.append(request)

    def _put_on_cpu(self, worker: Worker, request: Request, woken: bool = False) -> None:
        worker.on_cpu = request
        self._cores.add(worker.number, min(request[0], self._switch_interval), self._now, woken)

    def _computed(self, worker: Worker) -> None:
        """Process the end of the work, or of the switch interval, of the thread on a core."""
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
            self._idle_queue.join(worker)
        else:
            worker.turns -= 1  # a thread that ends wakes its worker
        worker.in_hand -= 1
        if not worker.in_hand:
            worker.busy += now - worker.since
            worker.since = now
        if self._backlog:
            self._begin(self._workers[self._idle_queue.take()], self._backlog.popleft())
        if self._is_closed:
            self._pause()

    # Clients that wait for their answers.

    def _pause(self) -> None:
        arrivals = self._scenario.arrivals
        if isinstance(arrivals, Closed):
            heappush(self._timers, (self._now + arrivals.pause(self._pauses), ASK, 0.0, 0.0))

    def _ask(self, *_: float) -> None:
        if self._now < self._scenario.seconds and self._clients <= self._clients_wanted:
            self._check_that_time_passes()
            self._arrive(self._now)
        else:
            self._clients -= 1

    def _check_that_time_passes(self) -> None:
        """Reject a scenario in which clients repeat requests that take no time."""
        if self._now > self._last_moment:
            self._last_moment, self._requests_then = self._now, 0
        self._requests_then += 1
        if self._requests_then > MOST_AT_ONCE * self._clients:
            raise ScenarioError(
                "Clients send requests without limit at the same simulated time: pauses, requests "
                "and retries all take no time."
            )

    def _change_clients(self, count: float, _: float) -> None:
        self._clients_wanted = int(count)
        while self._clients < self._clients_wanted:
            self._clients += 1
            self._arrive(self._now)

    # Rare events.

    def _retry(self, tries: float, came: float) -> None:
        self._reach(came, int(tries))

    def _look(self, *_: float) -> None:
        if self._now == self._pool.look_due:  # otherwise, there was another look since
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
        while self._backlog and self._idle_queue:
            self._begin(self._workers[self._idle_queue.take()], self._backlog.popleft())

    def _open(self, *_: float) -> None:
        self._opened = self._pool.clocks(self._now)

    def _close(self, *_: float) -> None:
        self._closed = self._pool.clocks(self._now)

    # Beginning and end.

    def _arrivals(self) -> Iterator[float]:
        """Return the times of arrivals that do not depend on answers."""
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
    """Return a function that draws a request: CPU seconds, seconds of waiting, CPU seconds."""
    draw = Random(f"{scenario.seed} services")
    services = scenario.services

    def parts(service: Service) -> tuple[float, float, float]:
        cpu, wait = service.cpu + scenario.overhead, service.wait
        return (cpu / 2, wait, cpu / 2) if wait else (cpu, 0.0, 0.0)

    if callable(services):
        return lambda: parts(services(draw))
    measured = [parts(each) for each in services]
    return lambda: measured[int(draw.random() * len(measured))]
