"""How many workers there shall be: what a policy sees of the load, and when; who leaves."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence

from prefork.linux.listeners import has_pending
from prefork.linux.syscalls import System
from prefork.master.arrival_watch import ArrivalWatch
from prefork.master.children import Children
from prefork.master.server_view import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.policies.sizing import POLICIES
from prefork.policies.sizing.base import LoadSample, Sizing
from prefork.policies.sizing.steps import Shrinking
from prefork.readings.backlog import total
from prefork.readings.cpu import CpuMeter
from prefork.readings.memory import memory_left, pss
from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.protocol.scoreboard import Reading, State

GROWN_AFTER = 5.0
"""Seconds after which a worker takes what it will ever take, though its first request lasts."""

MOST_TIME_TO_WEIGH = 1 / 200
"""Share of the time for looks at the memory: the kernel walks all pages of a worker for each."""

WITHOUT_ARRIVAL_WATCH = 0.25
"""Seconds between two looks where the master cannot hear the next client."""

UNBOUNDED = 200
"""Requests in hand that fill a worker with threads for which there is no bound."""

logger = logging.getLogger("prefork")

Seen = tuple[WorkerRecord, Reading]


class MachineCapacity:
    """What else there is for workers; a pool that does not ask pays nothing for it."""

    def __init__(self) -> None:
        self._cpu = CpuMeter()
        self._fit: int | None = None
        self._next_weighing = 0.0

    def cpu_left(self) -> float | None:
        """The share of the usable cores that was idle since the last time."""
        return self._cpu.left()

    def memory_room(self, now: float, persistent: int, ready: Sequence[Seen]) -> int | None:
        """Workers that still fit into memory beside those `persistent`; `None`: unknown.

        One counts as much as the one that has served most takes; those who have not served yet
        count as much, too, for they take little until they do.
        """
        if ready and now >= self._next_weighing:
            began = time.monotonic()
            self._weigh(now, ready)
            self._next_weighing = now + (time.monotonic() - began) / MOST_TIME_TO_WEIGH
        return None if self._fit is None else max(0, self._fit - persistent)

    def _weigh(self, now: float, ready: Sequence[Seen]) -> None:
        record, _ = max(ready, key=lambda seen: seen[1].served)
        try:
            each = pss(record.pid)
        except OSError:  # it has ended meanwhile, or runs as another user
            return
        left = memory_left()
        if left is not None and each:
            grown = sum(seen.served > 0 or now - r.started >= GROWN_AFTER for r, seen in ready)
            self._fit = grown + left // each


class Work:
    """What the workers have done from one look to the next: exactly, from the scoreboard."""

    def __init__(self, now: float) -> None:
        self._last_look = now
        self._busy: dict[int, float] = {}  # seconds in all, by pid

    def share(self, now: float, ready: Iterable[Seen]) -> float:
        """The share of their time for which they were busy since the last look."""
        before, self._busy = self._busy, {}
        worked = could = 0.0
        for record, reading in ready:
            present = now - reading.since if reading.state is State.BUSY else 0.0
            self._busy[record.pid] = reading.busy + present
            worked += self._busy[record.pid] - before.get(record.pid, 0.0)
            could += now - max(self._last_look, record.started)
        self._last_look = now
        return max(0.0, min(worked / could, 1.0)) if could > 0 else 0.0


class Sizer:
    """The size of one pool: `max_children`, or what the policy of the settings decides.

    For the master: `begin()`, then at each tick `look()` if there is a policy, and `next_timeout()`
    before each wait; `wanted()` is how many there shall be.
    """

    def __init__(
        self,
        server: ServerInMaster,
        pool: WorkerTable,
        children: Children,
        system: System,
        cores: int,
    ) -> None:
        self._server = server
        self._pool = pool
        self._children = children
        self._clock = system.clock
        self._cores = cores
        self.policy: Sizing | None = None  # with `static`
        self._shrinking = Shrinking()
        self._arrival_watch = ArrivalWatch(children, self._look_now)
        self._next_look: float | None = None

    def begin(self, strategy: Strategy) -> None:
        """Another run of the pool begins.

        Errors: `SettingsError` when there must be more workers than there may be.
        """
        settings, most, now = self._server.settings(), self._server.max_children(), self._clock()
        settings.check_least(most)
        self.end()
        self._strategy = strategy
        self._shrinking = Shrinking()
        policy = POLICIES.get(settings.sizing)
        if policy is not None:
            self.policy = policy(settings.limits(most))
            self._machine = MachineCapacity() if policy.reads_machine else None
            self._work = Work(now)
            self._next_look = now

    def end(self) -> None:
        """The loop has ended: who is there finishes, and nobody decides any more."""
        self.policy = None
        self._next_look = None
        self._arrival_watch.disarm()

    def close_in_child(self) -> None:
        """In a forked child: drop what belongs to the master."""
        self._arrival_watch.close_in_child()

    def wanted(self, most: int) -> int:
        """How many workers there shall be, of `most` allowed."""
        return most if self.policy is None else min(self.policy.wanted, most)

    def next_timeout(self, other: float | None) -> float | None:
        """Seconds until the clock alone makes a `tick()` necessary, if it is not so earlier for
        `other` reasons."""
        shrinking = self._shrinking.next_timeout()
        if self._next_look is None and shrinking is None:
            return other
        look = None if self._next_look is None else max(self._next_look - self._clock(), 0.0)
        return min(wait for wait in (other, shrinking, look) if wait is not None)

    def look(self, policy: Sizing) -> None:
        """Have the policy decide anew, if it is time."""
        now = self._clock()
        if self._next_look is None or now < self._next_look:
            return
        most = self._server.max_children()
        if not self._strategy.persistent(most):
            self.end()  # requests cannot be handed over: nobody stands ready any more
            return
        policy.limits = self._server.settings().limits(most)
        before = policy.wanted
        load = self._load(now)
        wanted, reason = policy.decide(load)
        if wanted != before:
            logger.info("%s instead of %d: %s.", _workers(wanted), before, reason)
        elif reason:
            logger.warning("%s and no more: %s.", _workers(wanted), reason)
        self._next_look = None if policy.interval is None else now + policy.interval
        self._arrival_watch.disarm()
        nobody_idle = load.busy == load.persistent or not wanted
        if policy.at_once and nobody_idle and wanted < most and not load.waiting:
            try:
                self._arrival_watch.arm(self._strategy.listening())
            except OSError:
                self._next_look = now + WITHOUT_ARRIVAL_WATCH

    def leaving(self, surplus: int, forbidden: int, now: float) -> list[WorkerRecord]:
        """The workers to retire, of so many that are more than wanted: idle ones only.

        Of so many as are `forbidden`, after a while also busy ones: see `Shrinking`.
        """
        readings = (
            (
                r.slot,
                reading._replace(state=State.BUSY)
                if self._strategy.has_request_in_transit(r)
                else reading,
            )
            for r, reading in self._ready()
        )
        slots = self._shrinking.choose(readings, surplus, forbidden, now)
        return [self._pool.by_slot(slot) for slot in slots]

    def _load(self, now: float) -> LoadSample:
        ready = list(self._ready())
        persistent = len(self._pool.persistent())
        busy, share = self._busy(now, ready)
        listeners = self._strategy.listening()
        # Of what cannot be counted there is one, at least, if there is any.
        waiting = total(listeners).waiting or int(has_pending(listeners))
        machine, room = self._machine, None
        if machine is not None and (share or waiting):  # otherwise nobody is going to be added
            room = machine.memory_room(now, persistent, ready)
        return LoadSample(
            now=now,
            persistent=persistent,
            starting=persistent - len(ready),
            busy=busy,
            busy_share=share,
            waiting=waiting,
            cpu_left=None if machine is None else machine.cpu_left(),
            memory_room=room,
            cores=self._cores,
        )

    def _busy(self, now: float, ready: Sequence[Seen]) -> tuple[int, float]:
        """How many workers have no room left, and what share of what all could do they did.

        With threads that is how full they are now; a worker that serves one at a time is full for
        as long as it is busy.
        """
        threads = self._server.threads()
        if threads is None:
            busy = sum(reading.state is State.BUSY for _, reading in ready)
            return busy, self._work.share(now, ready)
        room = threads or UNBOUNDED
        in_hand = [min(reading.in_flight, room) for _, reading in ready]
        return in_hand.count(room), sum(in_hand) / (room * len(ready)) if ready else 0.0

    def _ready(self) -> Iterator[Seen]:
        for record in self._pool:
            if record.persistent and record.state is WorkerState.SERVING:
                yield record, self._children.reading(record)

    def _look_now(self) -> None:
        self._next_look = self._clock()


def _workers(count: int) -> str:
    return f"{count} worker" if count == 1 else f"{count} workers"
