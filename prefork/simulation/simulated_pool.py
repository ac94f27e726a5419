"""The workers of the simulated pool, and the changes of their number."""

from __future__ import annotations

from heapq import heappush
from math import ceil, inf

from prefork.policies.idle_order import waits_before_requeue
from prefork.policies.sizing.base import Decision, LoadSample, Sizing
from prefork.policies.sizing.steps import SURPLUS_INTERVAL, to_start
from prefork.simulation.idle_queue import IdleQueue, Worker
from prefork.simulation.outcome import Decided
from prefork.simulation.processors import Processors
from prefork.simulation.scenario import Scenario
from prefork.simulation.timers import LOOK, READY, SETTLE, Timer


class SimulatedPool:
    """Starts and retires workers as the master does.

    At most as many start at once as there are cores. Only idle workers are retired, beginning with
    those that have been idle longest.
    """

    def __init__(self, scenario: Scenario, timers: list[Timer], processors: Processors) -> None:
        self._scenario = scenario
        self._timers = timers
        self._processors = processors
        self._cores = ceil(scenario.cores)
        self.sizing = None if isinstance(scenario.workers, int) else scenario.workers
        wanted, most = bounds(scenario.workers)
        self.idle_queue = IdleQueue(waits_before_requeue(scenario.idle_order, most))
        self.threads: float = scenario.threads or inf
        self.workers = [Worker(number) for number in range(wanted)]
        self.serving = dict.fromkeys(range(wanted))
        """The numbers of the ready workers, in order."""
        self.sizes = [(0.0, wanted)]
        self.decisions: list[Decided] = []
        self._wanted = wanted
        self._starting = 0
        self._settling = False
        self._present = 0.0  # ready workers' seconds, up to `_counted`
        self._counted = 0.0
        self.look_due = inf
        self._looked = 0.0
        self._seen = (0.0, 0.0, 0.0)
        for worker in self.workers:
            self.idle_queue.join(worker)

    @property
    def persistent(self) -> int:
        return len(self.serving) + self._starting

    def look(self, now: float, waiting: int) -> None:
        """Ask the policy for a decision, and apply it."""
        assert self.sizing is not None
        busy, present, used = seen = self.clocks(now)
        busy_before, present_before, used_before = self._seen
        elapsed = now - self._looked
        decision = self.sizing.decide(
            LoadSample(
                now=now,
                persistent=self.persistent,
                starting=self._starting,
                busy=sum(self.workers[each].in_hand >= self.threads for each in self.serving),
                busy_share=(busy - busy_before) / (present - present_before or 1.0),
                waiting=waiting,
                cpu_left=max(0.0, 1 - (used - used_before) / (elapsed * self._scenario.cores))
                if elapsed
                else None,
                memory_room=self._memory_room(),
                cores=self._cores,
            )
        )
        self._looked, self._seen = now, seen
        self._note(now, decision)
        self.settle(now)

    def look_later(self, now: float) -> None:
        """Schedule the next look as the policy wants; this replaces an earlier schedule."""
        self.look_due = inf
        if self.sizing is not None and self.sizing.interval is not None:
            self.look_due = now + self.sizing.interval
            heappush(self._timers, (self.look_due, LOOK, 0.0, 0.0))

    def settle(self, now: float) -> None:
        """Start missing workers; retire surplus ones that are idle now, and the others later."""
        before = self.persistent
        for _ in range(to_start(self._wanted - before, self._starting, self._cores)):
            self._starting += 1
            worker = Worker(len(self.workers))
            self.workers.append(worker)
            ready = now + self._scenario.start_time
            heappush(self._timers, (ready, READY, worker.number, 0.0))
        surplus = before - self._wanted
        if surplus > 0:
            self._retire(surplus, now)
        if self.persistent != before:
            self.sizes.append((now, self.persistent))

    def settle_again(self, now: float) -> None:
        self._settling = False
        self.settle(now)

    def ready(self, number: int, now: float) -> None:
        """Note that a worker is ready; another missing one may start now.

        The worker joins the idle queue first, so that it can be retired if it is no longer wanted.
        """
        self._starting -= 1
        self._count(now)
        self.serving[number] = None
        self.workers[number].since = now
        self.idle_queue.join(self.workers[number])
        self.settle(now)

    def clocks(self, now: float) -> tuple[float, float, float]:
        """Return three totals in seconds: workers busy, workers ready, and cores used."""
        self._count(now)
        busy = sum(
            worker.busy + (now - worker.since) * bool(worker.in_hand) for worker in self.workers
        )
        return busy, self._present, self._processors.used(now)

    def _count(self, now: float) -> None:
        self._present += (now - self._counted) * len(self.serving)
        self._counted = now

    def _note(self, now: float, decision: Decision) -> None:
        if decision.wanted != self._wanted or decision.reason:
            self.decisions.append(Decided(now, *decision))
        self._wanted = decision.wanted

    def _retire(self, surplus: int, now: float) -> None:
        idle = [each for each in self.serving if not self.workers[each].in_hand]
        idle.sort(key=lambda each: self.workers[each].since)
        gone = idle[:surplus]
        self._count(now)
        for each in gone:
            del self.serving[each]
        self.idle_queue.leave(gone)
        if len(gone) < surplus and not self._settling:
            self._settling = True
            heappush(self._timers, (now + SURPLUS_INTERVAL, SETTLE, 0.0, 0.0))

    def _memory_room(self) -> int | None:
        of_one, memory = self._scenario.memory_of_worker, self._scenario.memory
        return memory // of_one - self.persistent if memory is not None and of_one else None


def bounds(workers: int | Sizing) -> tuple[int, int]:
    """Return the number of workers at the beginning, and the maximum number."""
    if isinstance(workers, int):
        return workers, workers
    return workers.wanted, workers.limits.most
