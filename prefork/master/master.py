"""The master: keeps the pool at its size, reaps it, drains it, and does nothing on a request's way.

    wait    on one descriptor, of `Children`                               (`fileno()`)
    note    each event: ready, failed, a handler wants the end, a death     (`collect()`)
    decide  too few, too many, overdue                                      (`_keep_size()`)
    act     fork, retire, kill

Who waits is the server's loop; it calls `tick()` at each wake-up. The master itself blocks
only where the server's caller has asked it to.
"""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from prefork.linux import at_fork
from prefork.linux.signal_mask import signals_blocked, signals_unblocked
from prefork.linux.syscalls import SYSTEM, System
from prefork.master.children import Children
from prefork.master.origins import ORIGINS
from prefork.master.origins.from_master import Origin
from prefork.master.server_view import ServerInMaster
from prefork.master.sizer import Sizer
from prefork.master.strategies import strategy_of
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.fork import Fork
from prefork.policies.restarts import Restarts
from prefork.policies.sizing.steps import to_start
from prefork.readings.cores import usable_cores
from prefork.state.lifecycle import (
    POOL_TRANSITIONS,
    PoolEvent,
    PoolState,
    WorkerEvent,
    WorkerState,
    advance,
)
from prefork.state.reports import StartError, WorkerStatus, next_step, report_death, status_of
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.protocol.channel import Kind, Message
from prefork.workers.protocol.exit_codes import Death, ExitCode

logger = logging.getLogger("prefork")


class Master:
    """The pool of one server object, from the first fork to the last wait."""

    def __init__(
        self, server: ServerInMaster, system: System = SYSTEM, cores: int | None = None
    ) -> None:
        self._server = server
        self._system = system
        self._clock = system.clock
        self._cores = usable_cores() if cores is None else cores
        self._pool = WorkerTable()
        self._children = Children(self._pool, system)
        self._restarts = Restarts()
        self.strategy: Strategy = Fork(server, self._pool)
        self._origin = Origin(server, self.strategy, self._children, system)
        # server_close() may come from another thread than the loop's.
        self._lock = threading.RLock()
        self._sizer = Sizer(server, self._pool, self._children, system, self._cores)
        self._settled: tuple[int, int, int] | None = None  # how it was when nothing was left to do
        self._drain_began = 0.0
        self._has_begun = self._drainer_due = False
        self.forced = False  # whether the present run's workers were killed by us
        self.state = PoolState.NEW
        at_fork.register(self)

    # -- for the loop ------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._children.fileno()

    def start(self) -> None:
        """The loop begins: keep workers from the next tick on.

        Errors: `SettingsError` when the strategy is not for such a server.
        """
        with self._lock:
            self.collect()
            wanted = strategy_of(self._server.settings())
            if type(self.strategy) is not wanted:
                self.wait()  # for workers of an earlier run, which are finishing under the old one
                self._children.follow(-1, self.strategy.listen)
                self.strategy.close()
                self.strategy = wanted(self._server, self._pool)
            self.strategy.begin()
            self._sizer.begin(self.strategy)
            self._origin.end()
            origin = ORIGINS[self._server.settings().fork_from]
            self._origin = origin(self._server, self.strategy, self._children, self._system)
            self._restarts = Restarts()
            self.state = advance(POOL_TRANSITIONS, self.state, PoolEvent.START)
            self._drainer_due = self.forced = False
            self._has_begun = not self._sizer.wanted(1)  # or when the first worker is ready

    def tick(self) -> None:
        """Note what happened; then, while running, make the pool what it should be.

        Errors: `StartError` when the first workers cannot start.
        """
        with self._lock:
            self.collect()
            if self.state is PoolState.RUNNING:
                if self._sizer.policy is not None:
                    self._sizer.look(self._sizer.policy)
                if not self._is_settled:
                    self._keep_size()
                for record in self._origin.tick(self._size()[0]):
                    self._retire(record, Message(Kind.RETIRE))

    def collect(self) -> None:
        """Note what happened."""
        with self._lock:
            if self._is_settled and self._children.is_quiet:
                return
            with signals_blocked():
                if len(self._pool) or self._children.watches_others:
                    ready_fds = self._children.ready_fds()
                    for record, message in self._children.messages(ready_fds):
                        self._hear(record, message)
                    if self._children.someone_died(ready_fds):
                        self._reap(self._children.deaths())
                if not self._is_settled:
                    self._enforce_deadlines(self._clock())

    def next_timeout(self) -> float | None:
        """Seconds until the clock alone makes a `tick()` necessary."""
        with self._lock:
            wanted, most = self._size()
            if self._is_settled:
                return self._sizer.next_timeout(self._origin.next_timeout(wanted))
            now = self._clock()
            waits = [self._start_deadline(record) - now for record in self._pool.starting()]
            if self.state is PoolState.RUNNING:
                if to_start(self._pool.missing(wanted, most), len(waits), self._cores):
                    waits.append(self._restarts.wait_left(now))
                if (
                    look := self._sizer.next_timeout(self._origin.next_timeout(wanted))
                ) is not None:
                    waits.append(look)
            return max(min(waits), 0.0) if waits else None

    def wants_listener(self) -> bool:
        """Whether the loop shall take requests; asked before each wait."""
        with self._lock:
            wanted = self.strategy.wants_listener(self._server.max_children())
            self._children.follow(self.strategy.fileno(), self.strategy.listen)
            return wanted

    def can_take_more(self) -> bool:
        """Whether another request may be taken at once, within the same turn."""
        with self._lock:
            return self.state is PoolState.RUNNING and self.strategy.can_take_more()

    def has_room(self) -> bool:
        """Whether one more worker may be forked."""
        return len(self._pool) < self._server.max_children()

    def begin_drain(self) -> None:
        """The loop has ended: the workers finish, and first serve what waits in the backlog."""
        with self._lock, signals_blocked():
            before = self.state
            self.state = advance(POOL_TRANSITIONS, before, PoolEvent.DRAIN)
            self.strategy.end()
            self._origin.end()
            self._sizer.end()
            if before not in (PoolState.DRAINING, PoolState.STOPPING):
                self._drain_began = self._clock()
            self._retire_all()
            self._note_if_empty()

    # -- for the server ----------------------------------------------------------------------

    def dispatch(self, request: Any, client_address: Any) -> None:
        """Bring a request that was taken already to a worker.

        It is forked for it if none stands ready; if there is no place for one, that is waited for.

        Errors: `OSError` when there can be no more processes.
        """
        while True:
            with self._lock, signals_blocked():
                if self.forced:
                    return  # the request has waited in vain
                if self.strategy.place(request, client_address):
                    return
                if self.has_room():
                    self._origin.fork_for_request(request, client_address)
                    return
            with signals_unblocked():
                self._children.wait(self._graceful_time_left())
            self.tick()

    def drain(self) -> None:
        """The server is about to close: somebody must serve what waits in the backlog."""
        self.collect()
        self.begin_drain()
        self._drainer_due = True

    def wait(self) -> None:
        """Wait until every worker is gone; when the graceful_timeout is over the rest is killed."""
        while len(self._pool) or self.send_drainers():
            self._children.wait(self._graceful_time_left())
            self.collect()

    def send_drainers(self) -> bool:
        """Start workers for those who still wait, if nobody is left to serve them; whether it did.

        All may have left before the last client came, or died on a request.
        """
        with self._lock:
            somebody = self.forced or len(self._pool)
            if somebody or not (self._drainer_due and self.strategy.has_pending()):
                return False
            self._drainer_due = False
            self.state = advance(POOL_TRANSITIONS, self.state, PoolEvent.DRAIN)
            for _ in range(min(self._server.max_children(), self.strategy.waiting_at_most())):
                self._start_worker()
            self._retire_all()
            return len(self._pool) > 0

    def kill(self, why: str) -> None:
        """Patience is over: SIGKILL to whoever is left."""
        with self._lock, signals_blocked():
            self.forced = True
            self.state = advance(POOL_TRANSITIONS, self.state, PoolEvent.KILL)
            for record in self._pool:
                self._kill(record, why)
            self._note_if_empty()

    def close(self) -> bool:
        """Let go of everything; whether no worker was left. Those left finish by themselves."""
        with self._lock:
            self._origin.end()
            if not len(self._pool):
                self._children.follow(-1, self.strategy.listen)
                self._children.close()
                self.strategy.close()
            return not len(self._pool)

    def close_in_child(self) -> None:
        """In any child that is forked with this process's memory: drop the master's ends."""
        self._children.forget_all()
        self._origin.close_in_child()
        self._sizer.close_in_child()
        self.strategy.close_in_child()
        self._server.close_in_child()

    def status(self) -> list[WorkerStatus]:
        """What every worker is doing, by slot."""
        with self._lock:
            now, reading = self._clock(), self._children.reading
            return [status_of(r, reading(r), now) for r in self._pool.by_slots()]

    # -- note --------------------------------------------------------------------------------

    def _hear(self, record: WorkerRecord, message: Message) -> None:
        if message.kind is Kind.READY:
            self._pool.note(record, WorkerEvent.READY)
            self._has_begun = True
            self.strategy.ready(record)
        elif message.kind is Kind.FAILED:
            record.failure = message.body.decode("utf-8", "replace")
        elif message.kind is Kind.STOP:
            if record.may_stop_now:
                self._server.stop()
        else:
            self.strategy.hear(record, message)

    def _reap(self, deaths: list[Death]) -> None:
        """Take the dead off the books: all of them, before the first generation is judged."""
        failed: WorkerRecord | None = None
        for death in deaths:
            record = self._pool.by_pid(death.pid)
            if record is not None:
                self._reap_one(record, death)
                self._origin.note_death(record, death)
                if record.persistent and not record.was_ready:
                    failed = record
        if failed is not None and self._nobody_starts():
            raise StartError.of(failed)

    def _reap_one(self, record: WorkerRecord, death: Death) -> None:
        for message in self._children.drain_messages(record):
            self._hear(record, message)
        self._children.forget(record)
        now = self._clock()
        reading = self._children.reading(record)
        if record.blames_start(death.status, reading, now):
            self._restarts.note_newborn_death(now)
        # Before it has begun, the traceback is StartError's to tell.
        traceback = record.failure if self._has_begun or not record.persistent else ""
        report_death(record, death, reading, now, self._next_step(record, now), traceback)
        if self.state is PoolState.DRAINING and record.was_ready:
            self._drainer_due |= death.status != ExitCode.DONE
        self._pool.remove(record)
        self.strategy.forget(record)
        self._server.workers_changed(self._pool.pids())
        self._note_if_empty()

    def _nobody_starts(self) -> bool:
        if self._has_begun or self.state is not PoolState.RUNNING:
            return False
        return not self._pool.count(WorkerState.STARTING, WorkerState.SERVING)

    def _next_step(self, record: WorkerRecord, now: float) -> str:
        if self.state is not PoolState.RUNNING:
            return "it is not replaced"
        starting = self._pool.count(WorkerState.STARTING, WorkerState.SERVING)
        alone = not self._has_begun and starting <= 1  # itself
        wait = self._restarts.wait_left(now)
        return next_step(record, alone, wait, self._origin.generation)

    def _note_if_empty(self) -> None:
        if not len(self._pool) and self.state in (PoolState.DRAINING, PoolState.STOPPING):
            self.state = advance(POOL_TRANSITIONS, self.state, PoolEvent.EMPTY)
            self.strategy.restore_listeners()

    # -- decide ------------------------------------------------------------------------------

    @property
    def _is_settled(self) -> bool:
        """Whether the pool is as it should be, and nothing has changed since it was."""
        running = self.state is PoolState.RUNNING
        return running and self._settled == (self._pool.changes, *self._size())

    def _size(self) -> tuple[int, int]:
        """The persistent workers to keep, and the processes there may be at most."""
        most = self._server.max_children()
        return self.strategy.persistent(self._sizer.wanted(most)), most

    def _keep_size(self) -> None:
        now = self._clock()
        for record in self._pool:
            if not record.proved and not record.is_newborn(self._children.reading(record), now):
                record.proved = True
                self._restarts.note_survival()
        wanted, most = size = self._size()
        missing = self._pool.missing(wanted, most)
        for _ in range(to_start(missing, len(self._pool.starting()), self._cores)):
            if not self._restarts.wait_left(now):
                self._start_worker()
        if not missing:
            self.strategy.complete()
        surplus = self._pool.surplus(wanted)
        forbidden = self._pool.surplus(self.strategy.persistent(most))
        for record in self._sizer.leaving(surplus, forbidden, now):
            self._retire(record, Message(Kind.RETIRE))
        if not (missing or surplus) and all(record.proved for record in self._pool):
            self._settled = self._pool.changes, *size

    def _enforce_deadlines(self, now: float) -> None:
        for record in self._pool.starting():
            if now >= self._start_deadline(record):
                self._kill(record, "it is not ready within the start_timeout")
        if self._graceful_time_left() == 0.0 or self.state is PoolState.STOPPING:
            self.kill("it has not finished within the graceful_timeout")

    def _start_deadline(self, record: WorkerRecord) -> float:
        return record.started + self._server.settings().start_timeout

    def _graceful_time_left(self) -> float | None:
        timeout = self._server.settings().graceful_timeout
        if timeout is None or self.state is not PoolState.DRAINING:
            return None
        return max(self._drain_began + timeout - self._clock(), 0.0)

    # -- act ---------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        try:
            self.strategy.open()
            with self.strategy.passing_fds(self._pool.free_slot()) as passed_fds:
                self._origin.fork_persistent(passed_fds)
        except OSError as error:
            now = self._clock()
            self._restarts.note_newborn_death(now)
            if self._nobody_starts():
                raise StartError.of_fork(error) from error
            wait = self._restarts.wait_left(now)
            logger.error("No worker could be started: %s; the next try is in %.1f s.", error, wait)

    def _retire_all(self) -> None:
        orders = [(record, self.strategy.last_order(record)) for record in self._pool]
        for record, order in orders:
            self._retire(record, order)

    def _retire(self, record: WorkerRecord, order: Message) -> None:
        if record.state in (WorkerState.STARTING, WorkerState.SERVING):
            self._pool.note(record, WorkerEvent.RETIRED)
            record.channel.send(order)

    def _kill(self, record: WorkerRecord, why: str) -> None:
        if record.state is not WorkerState.KILLED:
            logger.warning("Killing worker %d (pid %d): %s.", record.slot, record.pid, why)
            self._pool.note(record, WorkerEvent.KILLED)
            self._children.send_signal(record, signal.SIGKILL)
