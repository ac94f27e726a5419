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
from prefork.master.origins import origin_of
from prefork.master.origins.from_master import FromMaster
from prefork.master.rollout import Rollout
from prefork.master.server_in_master import ServerInMaster
from prefork.master.sizer import Sizer
from prefork.master.strategies import strategy_of
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.fork import Fork
from prefork.policies.restarts import Restarts
from prefork.policies.sizing.steps import to_start
from prefork.readings.cores import usable_cores
from prefork.state.lifecycle import PoolState, StopReason, WorkerEvent, WorkerState
from prefork.state.pool_lifecycle import PoolLifecycle
from prefork.state.reports import StartError, WorkerStatus, next_step, report_death, status_of
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.protocol.channel import Kind, Message
from prefork.workers.protocol.exit_codes import Death, ExitCode

logger = logging.getLogger("prefork")

Target = tuple[int, int, int]
"""The persistent workers to keep, the processes allowed, and how often the pool has changed."""


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
        self._rollout = Rollout(server, self._pool, self._children)
        self._origin = self._new_origin(FromMaster)
        # server_close() may come from another thread than the loop's.
        self._lock = threading.RLock()
        self._sizer = Sizer(server, self._pool, self._children, system, self._cores)
        self._lifecycle = PoolLifecycle()
        self._reached: Target | None = None  # the last one for which nothing is left to do
        at_fork.register(self)

    @property
    def state(self) -> PoolState:
        return self._lifecycle.state

    @property
    def is_forced(self) -> bool:
        """Whether the workers of the present run were killed by the master."""
        return self._lifecycle.is_forced

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
                self._close_strategy()
                self.strategy = wanted(self._server, self._pool)
            self.strategy.begin()
            self._sizer.begin(self.strategy)
            self._origin.end()
            self._rollout = Rollout(self._server, self._pool, self._children)
            self._origin = self._new_origin(origin_of(self._server.settings()))
            self._restarts = Restarts()
            self._lifecycle.start()
            if not self._target()[0]:
                self._lifecycle.note_ready()

    def tick(self) -> None:
        """Note what happened; then, while running, make the pool what it should be.

        Errors: `StartError` when the first workers cannot start.
        """
        with self._lock:
            self.collect()
            if self._lifecycle.keeps_workers:
                if self._sizer.policy is not None:
                    self._sizer.look(self._sizer.policy)
                if not self._is_settled:
                    self._keep_size()
                self._origin.tick()
                for record in self._rollout.tick(self._target()[0]):
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
        """Seconds until a `tick()` is due even if nothing happens."""
        with self._lock:
            wanted, most, _ = self._target()
            now, keeps_workers = self._clock(), self._lifecycle.keeps_workers
            waits: list[float | None] = []
            if not self._is_settled:
                starting = self._pool.starting()
                waits += [self._start_deadline(record) - now for record in starting]
                missing = self._pool.missing(wanted, most) if keeps_workers else 0
                if to_start(missing, len(starting), self._cores):
                    waits.append(self._restarts.wait_left(now))
            if keeps_workers:
                waits.append(self._sizer.next_timeout())
                waits.append(self._origin.next_timeout())
                waits.append(self._rollout.next_timeout(wanted))
            known = [wait for wait in waits if wait is not None]
            return max(min(known), 0.0) if known else None

    def wants_listener(self) -> bool:
        """Whether the loop shall take requests; asked before each wait."""
        with self._lock:
            dispatcher = self.strategy.dispatcher
            wanted = dispatcher.wants_listener(self._server.max_children())
            self._children.follow(dispatcher.fileno(), dispatcher.read_completions)
            return wanted

    def can_take_more(self) -> bool:
        """Whether another request may be taken at once, within the same turn."""
        with self._lock:
            return self._lifecycle.keeps_workers and self.strategy.dispatcher.can_take_more()

    def has_room(self) -> bool:
        """Whether one more worker may be forked."""
        return len(self._pool) < self._server.max_children()

    def begin_drain(self, reason: StopReason = StopReason.LOOP_ENDED) -> None:
        """Have the workers serve what waits in the backlog, and then leave."""
        with self._lock, signals_blocked():
            self._lifecycle.drain(reason, self._clock())
            self.strategy.end()
            self._origin.end()
            self._sizer.end()
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
                if self.is_forced:
                    return  # the request is not served
                if self.strategy.dispatcher.place(request, client_address):
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
        self.begin_drain(StopReason.CLOSING)

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
            listeners = self.strategy.listeners
            if len(self._pool) or not self._lifecycle.needs_drainers:
                return False
            if not (self.strategy.workers_take and listeners.has_pending()):
                return False
            self._lifecycle.drain_again()
            for _ in range(min(self._server.max_children(), listeners.waiting_at_most())):
                self._start_worker()
            self._retire_all()
            return len(self._pool) > 0

    def kill(self, why: str) -> None:
        """Patience is over: SIGKILL to whoever is left."""
        with self._lock, signals_blocked():
            self._lifecycle.kill()
            for record in self._pool:
                self._kill(record, why)
            self._note_if_empty()

    def note_forced(self) -> None:
        """All workers are being killed by a signal handler, which may have interrupted this object
        anywhere. Their deaths are noted and reported as any others."""
        self._lifecycle.note_forced()

    def close(self) -> bool:
        """Let go of everything; whether no worker was left. Those left finish by themselves."""
        with self._lock:
            self._origin.end()
            if not len(self._pool):
                self._close_strategy()
                self._children.close()
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
            if record.state is WorkerState.SERVING:
                self._lifecycle.note_ready()
            self.strategy.dispatcher.note_ready(record)
        elif message.kind is Kind.FAILED:
            record.failure = message.body.decode("utf-8", "replace")
        elif message.kind is Kind.STOP:
            if record.may_stop_now:
                self._server.stop()
        elif message.kind is Kind.TAKEN:
            self._pool.discount(record)
        else:
            assert message.kind is Kind.LEAVING, message
            self.strategy.dispatcher.note_leaving(record)

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
        if failed is not None and self._no_start_left():
            raise StartError.of(failed)

    def _reap_one(self, record: WorkerRecord, death: Death) -> None:
        for message in self._children.drain_messages(record):
            self._hear(record, message)
        self._children.forget(record)
        now = self._clock()
        reading = self._children.reading(record)
        if record.blames_start(death.status, reading, now):
            self._restarts.note_newborn_death(now)
        # While booting, StartError shows the traceback.
        hidden = self._lifecycle.is_booting and record.persistent
        traceback = "" if hidden else record.failure
        report_death(record, death, reading, now, self._next_step(record, now), traceback)
        if record.was_ready and death.status != ExitCode.DONE:
            self._lifecycle.note_unfinished_drain()
        self._pool.remove(record)
        self.strategy.dispatcher.forget(record)
        self._server.workers_changed(self._pool.pids())
        self._note_if_empty()

    def _no_start_left(self, but: WorkerRecord | None = None) -> bool:
        """Whether the server ends: while booting, no worker starts `but` one that fails."""
        return self._lifecycle.is_booting and all(r is but for r in self._pool.starting())

    def _next_step(self, record: WorkerRecord, now: float) -> str:
        if not self._lifecycle.keeps_workers:
            return "it is not replaced"
        wait = self._restarts.wait_left(now)
        return next_step(record, self._no_start_left(record), wait, self._rollout.generation)

    def _note_if_empty(self) -> None:
        if not len(self._pool) and self._lifecycle.note_empty():
            self.strategy.listeners.restore()

    # -- decide ------------------------------------------------------------------------------

    @property
    def _is_settled(self) -> bool:
        """Whether the pool is as it should be, and nothing has changed since it was."""
        return self._lifecycle.keeps_workers and self._reached == self._target()

    def _target(self) -> Target:
        most = self._server.max_children()
        wanted = self.strategy.persistent(self._sizer.wanted(most))
        return wanted, most, self._pool.changes

    def _keep_size(self) -> None:
        now = self._clock()
        for record in self._pool:
            if not record.proved and not record.is_newborn(self._children.reading(record), now):
                record.proved = True
                self._restarts.note_survival()
        wanted, most, _ = self._target()
        missing = self._pool.missing(wanted, most)
        for _ in range(to_start(missing, len(self._pool.starting()), self._cores)):
            if not self._restarts.wait_left(now):
                self._start_worker()
        if not missing:
            self.strategy.listeners.note_complete()
        surplus = self._pool.surplus(wanted)
        forbidden = self._pool.surplus(self.strategy.persistent(most))
        for record in self._sizer.leaving(surplus, forbidden, now):
            self._retire(record, Message(Kind.RETIRE))
        if not (missing or surplus) and all(record.proved for record in self._pool):
            self._reached = wanted, most, self._pool.changes

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
        return self._lifecycle.graceful_time_left(timeout, self._clock())

    def _close_strategy(self) -> None:
        self._children.follow(-1, self.strategy.dispatcher.read_completions)
        self.strategy.close()

    def _new_origin(self, kind: type[FromMaster]) -> FromMaster:
        return kind(self._server, self.strategy, self._children, self._rollout, self._system)

    # -- act ---------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        try:
            self.strategy.listeners.open()
            with self.strategy.listeners.passing_fds(self._pool.free_slot()) as passed_fds:
                self._origin.fork_persistent(passed_fds)
        except OSError as error:
            now = self._clock()
            self._restarts.note_newborn_death(now)
            if self._no_start_left():
                raise StartError.of_fork(error) from error
            wait = self._restarts.wait_left(now)
            logger.error("No worker could be started: %s; the next try is in %.1f s.", error, wait)

    def _retire_all(self) -> None:
        if len(self._pool):
            order = self.strategy.last_order()
            for record in self._pool:
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
