"""The master: keeps the pool at its size, reaps it, drains it, and does nothing on a request's way.

    wait    on one descriptor: the epoll of all channels and all pidfds        (`fileno()`)
    note    each event: ready, failed, a handler wants the end, exit           (`_note`)
    decide  too few, too many, overdue                                         (`_keep_size`)
    act     spawn, retire, kill                                                (`_spawn`, ...)

Who waits is the server's loop; it gives the master a turn at each wake-up. The master never blocks
but in `wait()`, when the server closes.
"""

from __future__ import annotations

import gc
import logging
import select
import signal
import threading
from collections.abc import Callable
from typing import Any, Protocol

from prefork.cores import usable_cores
from prefork.lifecycle import (
    POOL_TRANSITIONS,
    PoolEvent,
    PoolState,
    WorkerEvent,
    WorkerState,
    advance,
)
from prefork.listener import SharedListener
from prefork.policies.restarts import Restarts, is_newborn
from prefork.policies.sizing import to_retire, to_start
from prefork.pool import Pool, WorkerRecord
from prefork.reaper import Death, Reaper
from prefork.reports import WorkerStatus, report_death, status_of
from prefork.settings import Settings
from prefork.spawner import spawn
from prefork.strategies import Strategy
from prefork.system import SYSTEM, System
from prefork.workers.channel import Channel, Kind, Message
from prefork.workers.exits import ExitCode
from prefork.workers.main import Assignment, serve_many, serve_one
from prefork.workers.scoreboard import Reading, Scoreboard, State
from prefork.workers.service import Service

logger = logging.getLogger("prefork")

SURPLUS_INTERVAL = 0.05
"""Seconds between two looks for an idle worker to retire."""

SURPLUS_PATIENCE = 1.0
"""Seconds after which busy workers are asked too: they leave after what they hold."""


class StartError(RuntimeError):
    """No worker of the first generation could start; the message has a worker's traceback."""


class Host(Service, Protocol):
    """The server above, as the master sees it. Everything is asked for when it is needed."""

    def settings(self) -> Settings: ...
    def max_children(self) -> int: ...
    def backlog(self) -> int: ...

    def threads(self) -> int | None:
        """Requests a worker may have in hand at a time; `None` without threads."""

    def may_cut_off(self) -> bool:
        """Whether the end of the server may cut off requests that threads still serve."""

    def let_go(self) -> None:
        """In a worker: drop what belongs to the master's loop."""

    def workers_changed(self, pids: set[int]) -> None:
        """These are the workers now."""

    def stop(self) -> None:
        """A handler has asked for the end of the server."""


class Master:
    """The pool of one server object, from the first fork to the last wait."""

    def __init__(self, host: Host, system: System = SYSTEM, cores: int | None = None) -> None:
        self._host = host
        self._system = system
        self._cores = usable_cores() if cores is None else cores
        self._pool = Pool()
        self._scoreboard = Scoreboard()
        self._restarts = Restarts()
        self._reaper = Reaper(system)
        self._epoll = select.epoll()
        self._epoll.register(self._reaper.fileno(), select.EPOLLIN)
        self._channels: dict[int, WorkerRecord] = {}
        self._listener: SharedListener | None = None
        self._lock = threading.RLock()  # server_close() may come from another thread than the loop's
        self._frozen_by_program = gc.get_freeze_count() > 0
        self._any_ready = False
        self._surplus_since: float | None = None
        self._drain_began = 0.0
        self.state = PoolState.NEW

    # -- for the loop ------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._epoll.fileno()

    def start(self, strategy: Strategy) -> None:
        """The loop begins: keep workers from the next turn on."""
        with self._lock:
            self._adopt_listener(strategy)
            self.state = advance(POOL_TRANSITIONS, self.state, PoolEvent.START)
            self._any_ready = False

    def turn(self, strategy: Strategy) -> None:
        """Note what happened; then, while running, make the pool what it should be.

        Errors: `StartError` when the first workers cannot start.
        """
        with self._lock:
            self.collect()
            if self.state is PoolState.RUNNING:
                self._keep_size(strategy)

    def collect(self) -> None:
        """Note what happened, without starting anybody."""
        with self._lock:
            self._note()
            self._enforce_deadlines(self._system.clock())

    def due(self, strategy: Strategy) -> float | None:
        """Seconds until the clock alone makes a turn necessary."""
        with self._lock:
            now = self._system.clock()
            waits = [record_due - now for record_due in self._start_deadlines()]
            if self._pool.missing(self._wanted(strategy), self._most()):
                waits.append(self._restarts.held_back(now))
            if self._surplus_since is not None:
                waits.append(SURPLUS_INTERVAL)
            return max(min(waits), 0.0) if waits else None

    def wants_listener(self, strategy: Strategy) -> bool:
        return strategy.wants_listener(len(self._pool), self._most())

    def rest(self) -> None:
        """The loop has ended: the workers finish, and first serve what waits in the backlog."""
        with self._lock:
            before = self.state
            self.state = advance(POOL_TRANSITIONS, before, PoolEvent.DRAIN)
            if before is not PoolState.RUNNING:
                return
            self._drain_began = self._system.clock()
            # Those in hand count too: a client may have come in their place meanwhile.
            most = self.waiting_at_most() + len(self._pool)
            for record in self._pool:
                self._retire(record, Message.drain(most))
            if not len(self._pool):
                self.state = advance(POOL_TRANSITIONS, self.state, PoolEvent.EMPTY)

    def waiting_at_most(self) -> int:
        """How many requests can be waiting in the backlog now."""
        if self._listener is None:
            return 0
        return self._listener.waiting_at_most(self._host.backlog())

    # -- for the server ----------------------------------------------------------------------

    def serve_apart(self, request: Any, client_address: Any) -> None:
        """Fork a worker for one request that was taken already; waits for a free place if need be.

        Errors: `OSError` when there can be no more processes.
        """
        host = self._host
        with self._lock:
            while len(self._pool) >= self._most():
                self._epoll.poll(self._grace_left())
                self.collect()
            self._spawn(lambda given: serve_one(host, given, request, client_address), False)

    def wait(self) -> None:
        """Wait until every worker is gone; when the grace is over the rest is killed."""
        while len(self._pool):
            self._epoll.poll(self._grace_left())
            self.collect()

    def kill(self) -> None:
        """Patience is over: SIGKILL to whoever is left."""
        with self._lock:
            self.state = advance(POOL_TRANSITIONS, self.state, PoolEvent.KILL)
            for record in self._pool:
                self._kill(record, "the server is to end at once")

    def close(self) -> None:
        """Let go of everything; workers that are left finish by themselves."""
        with self._lock:
            if self._listener is not None:
                self._listener.close(shared=len(self._pool) > 0)
                self._listener = None
            if not len(self._pool):
                self._epoll.close()
                self._reaper.close()

    def status(self) -> list[WorkerStatus]:
        """What every worker is doing, by slot."""
        now = self._system.clock()
        with self._lock:
            return [
                status_of(record, self._scoreboard.slot(record.slot).read(), now)
                for record in sorted(self._pool, key=lambda record: record.slot)
            ]

    @property
    def empty(self) -> bool:
        return not len(self._pool)

    # -- note --------------------------------------------------------------------------------

    def _note(self) -> None:
        if not len(self._pool):
            return
        for fd, _ in self._epoll.poll(0):
            if fd in self._channels:
                self._read(self._channels[fd])
        for death in self._reaper.collect():
            self._bury(death)

    def _read(self, record: WorkerRecord) -> None:
        """Take a worker's messages; at the end of file only its exit is left to come."""
        while True:
            try:
                message = record.channel.receive()
            except BlockingIOError:
                return
            if message is None:
                self._forget_channel(record)
                return
            if message.kind is Kind.READY:
                record.note(WorkerEvent.READY)
                self._any_ready = True
            elif message.kind is Kind.FAILED:
                record.failure = message.body.decode("utf-8", "replace")
            elif message.kind is Kind.STOP:
                self._host.stop()

    def _bury(self, death: Death) -> None:
        record = self._pool.by_pid(death.pid)
        if record is None:
            return
        if record.channel.fileno() in self._channels:
            self._read(record)  # its last words
        self._forget_channel(record)
        record.channel.close()
        now = self._system.clock()
        reading = self._scoreboard.slot(record.slot).read()
        expected = record.state is WorkerState.RETIRING or death.status == ExitCode.RECYCLED
        if record.standing and not expected and _newborn(record, reading, now):
            self._restarts.note_newborn_death(now)
        report_death(record, death, reading, now, self._next_step(record, now))
        self._pool.remove(record)
        self._host.workers_changed(self._pool.pids())
        if not len(self._pool) and self.state in (PoolState.DRAINING, PoolState.STOPPING):
            self.state = advance(POOL_TRANSITIONS, self.state, PoolEvent.EMPTY)
        self._check_first_generation(record)

    def _check_first_generation(self, dead: WorkerRecord) -> None:
        if self._any_ready or not dead.standing or self.state is not PoolState.RUNNING:
            return
        if not self._pool.count(WorkerState.STARTING, WorkerState.SERVING):
            raise StartError(
                "No worker could start, so nothing is served. The last one said:\n"
                + (dead.failure or "nothing; its end is in the log.")
            )

    def _forget_channel(self, record: WorkerRecord) -> None:
        if self._channels.pop(record.channel.fileno(), None) is not None:
            # By hand: a process that inherited the descriptor keeps the registration alive.
            self._epoll.unregister(record.channel.fileno())

    def _next_step(self, record: WorkerRecord, now: float) -> str:
        if not record.standing or self.state is not PoolState.RUNNING:
            return "it is not replaced"
        if record.state is WorkerState.RETIRING:
            return "the pool is as large as it should be"
        held_back = self._restarts.held_back(now)
        return f"it is replaced in {held_back:.1f} s" if held_back else "it is replaced now"

    # -- decide ------------------------------------------------------------------------------

    def _adopt_listener(self, strategy: Strategy) -> None:
        fd = self._host.fileno()
        if self._listener is not None and not self._listener.same_as(fd):
            self._listener.close(shared=len(self._pool) > 0)
            self._listener = None
        if self._listener is None:
            self._listener = SharedListener(fd)
        if strategy.standing(1):
            self._listener.share()
            warn_of_threads()

    def _keep_size(self, strategy: Strategy) -> None:
        now = self._system.clock()
        for record in self._pool:
            if not record.proved and not _newborn(record, self._read_slot(record), now):
                record.proved = True
                self._restarts.note_survival()
        wanted = self._wanted(strategy)
        missing = self._pool.missing(wanted, self._most())
        if missing and not self._restarts.held_back(now):
            starting = self._pool.count(WorkerState.STARTING)
            for _ in range(to_start(missing, starting, self._cores)):
                if not self._start_worker(strategy):
                    break
        self._shrink(self._pool.surplus(wanted), now)

    def _shrink(self, surplus: int, now: float) -> None:
        if not surplus:
            self._surplus_since = None
            return
        if self._surplus_since is None:
            self._surplus_since = now
        serving = (record for record in self._pool if record.state is WorkerState.SERVING)
        readings = [(r.slot, self._read_slot(r)) for r in serving if r.standing]
        patience_over = now - self._surplus_since >= SURPLUS_PATIENCE
        for slot in to_retire(readings, surplus, patience_over):
            self._retire(self._pool.by_slot(slot), Message(Kind.RETIRE))

    def _enforce_deadlines(self, now: float) -> None:
        timeout = self._host.settings().start_timeout
        for record in self._pool:
            if record.state is WorkerState.STARTING and now >= record.started + timeout:
                self._kill(record, f"it is not ready after {timeout:g} s (start_timeout)")
        if self.state is PoolState.DRAINING and self._grace_left() == 0.0:
            self.kill()

    def _start_deadlines(self) -> list[float]:
        timeout = self._host.settings().start_timeout
        starting = (r for r in self._pool if r.state is WorkerState.STARTING)
        return [record.started + timeout for record in starting]

    def _grace_left(self) -> float | None:
        grace = self._host.settings().grace
        if grace is None or self.state is not PoolState.DRAINING:
            return None
        return max(self._drain_began + grace - self._system.clock(), 0.0)

    def _wanted(self, strategy: Strategy) -> int:
        return strategy.standing(self._most())

    def _most(self) -> int:
        return max(1, self._host.max_children())

    def _read_slot(self, record: WorkerRecord) -> Reading:
        return self._scoreboard.slot(record.slot).read()

    # -- act ---------------------------------------------------------------------------------

    def _start_worker(self, strategy: Strategy) -> bool:
        host = self._host
        try:
            self._spawn(lambda given: serve_many(host, given, strategy.source), True)
        except OSError as error:
            self._restarts.note_newborn_death(self._system.clock())
            wait = self._restarts.held_back(self._system.clock())
            logger.error("No worker could be forked: %s; the next try is in %.1f s.", error, wait)
            return False
        return True

    def _spawn(self, live: Callable[[Assignment], int], standing: bool) -> None:
        settings = self._host.settings()
        number = self._pool.free_slot()
        slot = self._scoreboard.slot(number)
        slot.clear()
        ours, theirs = Channel.pair()

        def let_go() -> None:
            ours.close()
            self._let_go()

        given = Assignment(
            number=number,
            slot=slot,
            channel=theirs,
            let_go=let_go,
            threads=self._host.threads() if standing else None,
            may_cut_off=self._host.may_cut_off(),
            max_requests=settings.drawn_max_requests(),
            name=settings.name,
            titles=settings.titles,
        )

        def adopt(pid: int) -> None:
            record = WorkerRecord(number, pid, ours, self._system.clock(), standing)
            self._pool.add(record)
            self._reaper.adopt(pid)
            self._channels[ours.fileno()] = record
            self._epoll.register(ours.fileno(), select.EPOLLIN)
            self._host.workers_changed(self._pool.pids())

        if settings.freeze:
            gc.freeze()
        try:
            spawn(lambda: live(given), adopt, self._system)
        except BaseException:
            if not self._pool.holds(number):
                ours.close()
            raise
        finally:
            theirs.close()
            if settings.freeze and not self._frozen_by_program:
                gc.unfreeze()

    def _let_go(self) -> None:
        """In a new worker: drop the master's ends of everything, without touching what is shared.

        Nothing is unregistered: the epoll instances are the master's too.
        """
        for record in self._pool:
            record.channel.close()
        self._reaper.close()
        self._epoll.close()
        if self._listener is not None:
            self._listener.forget()
        self._host.let_go()

    def _retire(self, record: WorkerRecord, order: Message) -> None:
        if record.state in (WorkerState.STARTING, WorkerState.SERVING):
            record.note(WorkerEvent.RETIRED)
            record.channel.send(order)

    def _kill(self, record: WorkerRecord, why: str) -> None:
        if record.state is not WorkerState.KILLED:
            logger.warning("Killing worker %d (pid %d): %s.", record.slot, record.pid, why)
            record.note(WorkerEvent.KILLED)
            self._reaper.send_signal(record.pid, signal.SIGKILL)


def _newborn(record: WorkerRecord, reading: Reading, now: float) -> bool:
    taken = reading.served + (reading.state is State.BUSY)
    return is_newborn(record.was_ready, taken, now - record.started)


def warn_of_threads() -> None:
    """Name every thread that is alive when workers are about to be forked.

    A lock that it holds at that moment stays locked in the worker for ever (fork(2)).
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            logger.warning(
                "Thread %r is alive while workers are forked: a lock that it holds at that moment "
                "stays locked in them.",
                thread.name,
            )
