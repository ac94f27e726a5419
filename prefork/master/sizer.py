"""Decides how many workers to keep, by a sizing policy and the load, and which ones to retire."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence

from prefork.linux.listening_sockets import has_pending
from prefork.linux.syscalls import System
from prefork.master.arrival_watch import ArrivalWatch
from prefork.master.children import Children
from prefork.master.server_in_master import ServerInMaster
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
"""Seconds after which a worker counts as fully grown even if it has not finished a request."""

MAX_TIME_FOR_MEMORY = 1 / 200
"""Maximum share of the time that is spent on readings of memory: for each of them, the kernel walks
all pages of a worker."""

WITHOUT_ARRIVAL_WATCH = 0.25
"""Seconds between two looks if the next client cannot wake the master."""

UNBOUNDED = 200
"""Requests in flight at which a worker whose threads are not limited counts as full."""

logger = logging.getLogger("prefork")

Seen = tuple[WorkerRecord, Reading]


class MachineCapacity:
    """Reads, on demand, the CPU and memory that are left for more workers."""

    def __init__(self) -> None:
        self._cpu = CpuMeter()
        self._fit: int | None = None
        self._next_reading = 0.0

    def cpu_left(self) -> float | None:
        """Return the share of the usable cores that was idle since the last call."""
        return self._cpu.left()

    def memory_room(self, now: float, persistent: int, ready: Sequence[Seen]) -> int | None:
        """Return how many workers fit into memory besides the `persistent` ones; `None`: unknown.

        The size of each is taken to be that of the worker that has served most, even if it has not
        served yet: it will grow when it does.
        """
        if ready and now >= self._next_reading:
            began = time.monotonic()
            self._read_size(now, ready)
            self._next_reading = now + (time.monotonic() - began) / MAX_TIME_FOR_MEMORY
        return None if self._fit is None else max(0, self._fit - persistent)

    def _read_size(self, now: float, ready: Sequence[Seen]) -> None:
        record, _ = max(ready, key=lambda seen: seen[1].served)
        try:
            each = pss(record.pid)
        except OSError:  # it has exited, or runs as another user
            return
        left = memory_left()
        if left is not None and each:
            grown = sum(seen.served > 0 or now - r.started >= GROWN_AFTER for r, seen in ready)
            self._fit = grown + left // each


class Work:
    """Measures exactly, from the scoreboard, how busy the workers were between two looks."""

    def __init__(self, now: float) -> None:
        self._last_look = now
        self._busy: dict[int, float] = {}  # total seconds, by pid

    def share(self, now: float, ready: Iterable[Seen]) -> float:
        """Return the share of the time since the last look for which the workers were busy."""
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
    """Decides the size of one pool: `max_children`, or as the policy in the settings decides.

    The master calls `begin()`, then `look()` at each tick and `next_timeout()` before each wait;
    `wanted()` returns how many persistent workers to keep, and `leaving()` which ones to retire.
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
        self._policy: Sizing | None = None  # `None` with sizing `static`
        self._shrinking = Shrinking()
        self._arrival_watch = ArrivalWatch(children, self._look_now)
        self._next_look: float | None = None

    def begin(self, strategy: Strategy) -> None:
        """Note that the loop begins.

        Errors: `SettingsError` if `min_children` is greater than `max_children`.
        """
        settings, most, now = self._server.settings(), self._server.max_children(), self._clock()
        settings.check_least(most)
        self.end()
        self._strategy = strategy
        self._shrinking = Shrinking()
        policy = POLICIES.get(settings.sizing)
        if policy is not None:
            self._policy = policy(settings.limits(most))
            self._machine = MachineCapacity() if policy.reads_machine else None
            self._work = Work(now)
            self._next_look = now

    def end(self) -> None:
        """Stop deciding, because the loop has ended or there are no persistent workers."""
        self._policy = None
        self._next_look = None
        self._arrival_watch.disarm()

    def close_in_child(self) -> None:
        """Close the master's descriptors in a forked child."""
        self._arrival_watch.close_in_child()

    def wanted(self, most: int) -> int:
        """Return how many persistent workers to keep, if `most` are allowed."""
        return most if self._policy is None else min(self._policy.wanted, most)

    def next_timeout(self) -> float | None:
        """Return the seconds until a look is due, or until to look for an idle surplus worker."""
        shrinking = self._shrinking.next_timeout()
        if self._next_look is None:
            return shrinking
        look = max(self._next_look - self._clock(), 0.0)
        return look if shrinking is None else min(shrinking, look)

    def look(self) -> None:
        """Ask the policy for a decision, if there is one and a look is due."""
        policy = self._policy
        if policy is None or self._next_look is None or (now := self._clock()) < self._next_look:
            return
        most = self._server.max_children()
        if not self._strategy.persistent(most):
            self.end()  # requests cannot be handed over, so a worker is forked for each
            return
        policy.limits = self._server.settings().limits(most)
        before = policy.wanted
        load = self._load(now)
        wanted, reason = policy.decide(load)
        if wanted != before:
            logger.info(
                "Scaling from %d to %s: %s.",
                before,
                _workers(wanted),
                reason,
                extra={"event": "scaled", "before": before, "workers": wanted, "reason": reason},
            )
        elif reason:
            logger.warning(
                "Staying at %s: %s.",
                _workers(wanted),
                reason,
                extra={"event": "saturated", "workers": wanted, "reason": reason},
            )
        self._next_look = None if policy.interval is None else now + policy.interval
        self._arrival_watch.disarm()
        none_idle = load.busy == load.persistent or not wanted
        if policy.at_once and none_idle and wanted < most and not load.waiting:
            try:
                self._arrival_watch.arm(self._strategy.listeners.fds())
            except OSError:
                self._next_look = now + WITHOUT_ARRIVAL_WATCH

    def leaving(self, surplus: int, forbidden: int, now: float) -> list[WorkerRecord]:
        """Return the workers to retire: at most `surplus`, and only idle ones.

        If `forbidden` of them exceed `max_children`, busy ones are included after a while: see
        `Shrinking.choose()`.
        """
        readings = (
            (
                r.slot,
                reading._replace(state=State.BUSY)
                if self._strategy.dispatcher.has_request_in_transit(r)
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
        listeners = self._strategy.listeners.fds()
        # The length of some queues is unknown, but not whether at least one request waits.
        waiting = total(listeners).waiting or int(has_pending(listeners))
        machine, room = self._machine, None
        if machine is not None and (share or waiting):  # otherwise no worker is added
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
        """Return how many workers are full now, and what share of the workers' capacity is used.

        With threads, this is the share at this moment; otherwise, the average since the last look.
        """
        threads = self._server.threads()
        if threads is None:
            busy = sum(reading.state is State.BUSY for _, reading in ready)
            return busy, self._work.share(now, ready)
        room = threads or UNBOUNDED
        in_flight = [min(reading.in_flight, room) for _, reading in ready]
        return in_flight.count(room), sum(in_flight) / (room * len(ready)) if ready else 0.0

    def _ready(self) -> Iterator[Seen]:
        for record in self._pool:
            if record.persistent and record.state is WorkerState.SERVING:
                yield record, self._children.reading(record)

    def _look_now(self) -> None:
        self._next_look = self._clock()


def _workers(count: int) -> str:
    return f"{count} worker" if count == 1 else f"{count} workers"
