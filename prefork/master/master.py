"""The master keeps the pool at its size, reaps it and drains it. It serves no requests.

    wait    on one descriptor, that of `Children`                          (`fileno()`)
    note    each event: ready, failed, a handler stops the server, a death  (`collect()`)
    decide  too few, too many, overdue                                      (`_keep_size()`)
    act     fork, retire, kill

The server's loop waits, and calls `tick()` at each wake-up. The master itself blocks only in calls
that are documented to wait.
"""

from __future__ import annotations

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
from prefork.state import exit_reports
from prefork.state.exit_reports import StartError
from prefork.state.lifecycle import PoolState, StopReason, WorkerEvent, WorkerState
from prefork.state.pool_lifecycle import PoolLifecycle
from prefork.state.worker_status import WorkerStatus
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.protocol.exit_codes import Death, ExitCode
from prefork.workers.protocol.messages import Kind, Message

Target = tuple[int, int, int]
"""Persistent workers to keep, processes allowed, and the number of changes of the pool so far."""


class Master:
    """The pool of one server object, from the first fork to the last wait."""

    def __init__(
        self, server: ServerInMaster, system: System = SYSTEM, cores: int | None = None
    ) -> None:
        self._server = server
        self._system = system
        self._clock = system.clock
        self._cores = usable_cores() if cores is None else cores
        # server_close() may be called in a thread other than the loop's.
        self._lock = threading.RLock()
        self._lifecycle = PoolLifecycle()
        self._pool = WorkerTable()
        self._children = Children(self._pool, system)
        self._sizer = Sizer(server, self._pool, self._children, system, self._cores)
        self._reached: Target | None = None  # the last target for which nothing was left to do
        # These are replaced when the loop begins.
        self.strategy: Strategy = Fork(server, self._pool)
        self._restarts = Restarts()
        self._rollout = Rollout(server, self._pool, self._children)
        self._origin = FromMaster(server, self.strategy, self._children, self._rollout, system)
        self.aborted = 0
        """Requests in flight that were aborted because the master killed their workers."""
        at_fork.register(self)

    @property
    def state(self) -> PoolState:
        return self._lifecycle.state

    @property
    def is_forced(self) -> bool:
        """Whether the workers of the present run were killed to stop the server."""
        return self._lifecycle.is_forced

    # -- for the loop ------------------------------------------------------------------------

    def fileno(self) -> int:
        """Return the descriptor to wait for, or -1 once the master is closed."""
        return self._children.fileno()

    def start(self) -> None:
        """Begin to keep workers; the next `tick()` forks the first ones.

        Errors: `SettingsError` if the strategy does not work for this server.
        """
        with self._lock:
            self.collect()
            settings = self._server.settings()
            wanted = strategy_of(settings)
            if type(self.strategy) is not wanted:
                self.wait()  # for workers of an earlier run, which finish with its strategy
                self._children.follow(-1)
                self.strategy.close()
                self.strategy = wanted(self._server, self._pool)
            self.strategy.begin()
            self._sizer.begin(self.strategy)
            self._origin.end()
            self._restarts = Restarts()
            self._rollout = Rollout(self._server, self._pool, self._children)
            self._origin = origin_of(settings)(
                self._server, self.strategy, self._children, self._rollout, self._system
            )
            self._lifecycle.start()
            self.aborted = 0
            if not self._target()[0]:
                self._lifecycle.note_ready()

    def tick(self) -> None:
        """Note events; while workers are kept, start missing workers and retire surplus ones.

        Errors: `StartError` if none of the first workers can start.
        """
        with self._lock:
            self.collect()
            if self._lifecycle.keeps_workers:
                self._sizer.look()
                if not self._is_settled:
                    self._keep_size()
                self._origin.tick()
                for record in self._rollout.tick(self._target()[0]):
                    self._children.retire(record)

    def collect(self) -> None:
        """Note events: messages, deaths and deadlines. Errors: those of `tick()`."""
        with self._lock:
            if self._is_settled and self._children.is_quiet:
                return
            with signals_blocked():
                self._children.collect(self._hear, self._reap)
                if not self._is_settled:
                    self._enforce_deadlines(self._clock())

    def next_timeout(self) -> float | None:
        """Return the seconds until a `tick()` is due even if no event occurs."""
        with self._lock:
            wanted, most, _ = self._target()
            now, keeps_workers = self._clock(), self._lifecycle.keeps_workers
            waits: list[float | None] = []
            if not self._is_settled:
                starting = self._pool.starting()
                timeout = self._server.settings().start_timeout
                waits += [record.started + timeout - now for record in starting]
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
        """Whether the loop should take requests; called before each wait."""
        with self._lock:
            dispatcher = self.strategy.dispatcher
            wanted = dispatcher.wants_listener(self._server.max_children())
            self._children.follow(dispatcher.fileno(), dispatcher.read_completions)
            return wanted

    def can_take_more(self) -> bool:
        """Whether the loop may take another request without a wait in between."""
        with self._lock:
            return self._lifecycle.keeps_workers and self.strategy.dispatcher.can_take_more()

    def is_complete(self) -> bool:
        """Whether all wanted persistent workers are ready, and there are no surplus ones."""
        with self._lock:
            return self._pool.is_complete(*self._target()[:2])

    def has_room(self) -> bool:
        """Whether one more worker may be forked."""
        return len(self._pool) < self._server.max_children()

    def begin_drain(self, reason: StopReason = StopReason.LOOP_ENDED) -> None:
        """Tell the workers to serve what waits in the backlog, and then leave."""
        with self._lock, signals_blocked():
            self._lifecycle.drain(reason, self._clock())
            self.strategy.end()
            self._origin.end()
            self._sizer.end()
            self._children.retire_all(self.strategy.last_order)
            self._note_if_empty()

    # -- for the server ----------------------------------------------------------------------

    def dispatch(self, request: Any, client_address: Any) -> None:
        """Pass a request that the loop has taken to a worker.

        If no persistent worker has capacity, one is forked for it as soon as that is allowed.

        Errors: `OSError` if no process can be forked.
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
        """Prepare to close the server: first, the workers serve what waits in the backlog."""
        self.collect()
        self.begin_drain(StopReason.CLOSING)

    def wait(self) -> None:
        """Wait until all workers are gone; those left after the graceful_timeout are killed."""
        while len(self._pool) or self.send_drainers():
            self._children.wait(self._graceful_time_left())
            self.collect()

    def send_drainers(self) -> bool:
        """Start workers for what waits in the backlog if none is left; return whether any started.

        All of them may have left before the last client arrived, or died while serving.
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
            self._children.retire_all(self.strategy.last_order)
            return len(self._pool) > 0

    def kill(self, why: str) -> None:
        """Kill all workers, even those with requests in flight."""
        with self._lock, signals_blocked():
            self._lifecycle.kill()
            for record in self._pool:
                self.aborted += self._children.kill(record, why)
            self._note_if_empty()

    def force_stop(self) -> None:
        """Kill all workers without changing a table; a signal handler may call this anytime."""
        with self._lock:  # wait while another thread forks a worker
            self._lifecycle.note_forced()
            for record in self._pool:
                self.aborted += self._children.send_kill(record)

    def close(self) -> bool:
        """Close all descriptors and return true; return false if workers are still finishing."""
        with self._lock:
            self._origin.end()
            if len(self._pool):
                return False
            self._children.follow(-1)
            self.strategy.close()
            self._children.close()
            return True

    def close_in_child(self) -> None:
        """Close the master's descriptors in any child that this process forks."""
        self._children.forget_all()
        self._origin.close_in_child()
        self._sizer.close_in_child()
        self.strategy.close_in_child()
        self._server.close_in_child()

    def status(self) -> list[WorkerStatus]:
        """Return what every worker is doing, in the order of the slots."""
        with self._lock:
            return self._children.status()

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
        """Remove all dead workers, and only then report that the start has failed, if it has."""
        failed: WorkerRecord | None = None
        for death in deaths:
            record = self._pool.by_pid(death.pid)
            if record is not None:
                self._reap_one(record, death)
                self._origin.note_death(record, death)
                if record.persistent and not record.was_ready:
                    failed = record
        if failed is not None and self._has_start_failed():
            raise StartError.of(failed)

    def _reap_one(self, record: WorkerRecord, death: Death) -> None:
        for message in self._children.drain_messages(record):
            self._hear(record, message)
        self._children.forget(record)
        now = self._clock()
        reading = self._children.reading(record)
        if record.blames_start(death.status, reading, now):
            self._restarts.note_early_death(now)
        next_step = exit_reports.next_step(
            record,
            is_replaced=self._lifecycle.keeps_workers and record.persistent,
            is_last=self._has_start_failed(without=record),
            is_outdated=self._rollout.is_outdated(record),
            wait=self._restarts.wait_left(now),
        )
        # While booting, StartError shows the traceback.
        is_shown = not (self._lifecycle.is_booting and record.persistent)
        traceback = record.failure if is_shown else ""
        exit_reports.report_death(record, death, reading, now, next_step, traceback)
        if record.was_ready and death.status != ExitCode.DONE:
            self._lifecycle.note_unfinished_drain()
        self._pool.remove(record)
        self.strategy.dispatcher.forget(record)
        self._server.workers_changed(self._pool.pids())
        self._note_if_empty()

    def _has_start_failed(self, without: WorkerRecord | None = None) -> bool:
        """Whether the pool is booting, and no worker other than `without` is starting."""
        return self._lifecycle.is_booting and all(r is without for r in self._pool.starting())

    def _note_if_empty(self) -> None:
        if not len(self._pool) and self._lifecycle.note_empty():
            self.strategy.listeners.restore()

    # -- decide ------------------------------------------------------------------------------

    @property
    def _is_settled(self) -> bool:
        """Whether the pool has reached its target, and neither has changed since then."""
        return self._lifecycle.keeps_workers and self._reached == self._target()

    def _target(self) -> Target:
        most = self._server.max_children()
        wanted = self.strategy.persistent(self._sizer.wanted(most))
        return wanted, most, self._pool.changes

    def _keep_size(self) -> None:
        now = self._clock()
        if self._pool.prove(self._children.reading, now):
            self._restarts.note_proved()
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
            self._children.retire(record)
        if not (missing or surplus) and all(record.proved for record in self._pool):
            self._reached = wanted, most, self._pool.changes

    def _enforce_deadlines(self, now: float) -> None:
        timeout = self._server.settings().start_timeout
        for record in self._pool.starting():
            if now >= record.started + timeout:
                self._children.kill(record, "it was not ready within the start_timeout")
        if self.is_forced or self._graceful_time_left() == 0.0:
            self.kill("forced shutdown" if self.is_forced else "the graceful_timeout has expired")

    def _graceful_time_left(self) -> float | None:
        timeout = self._server.settings().graceful_timeout
        return self._lifecycle.graceful_time_left(timeout, self._clock())

    # -- act ---------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        listeners = self.strategy.listeners
        try:
            listeners.open()
            with listeners.passing_fds(self._pool.free_slot()) as passed_fds:
                self._origin.fork_persistent(passed_fds)
        except OSError as error:
            now = self._clock()
            self._restarts.note_early_death(now)
            if self._has_start_failed():
                raise StartError.of_fork(error) from error
            exit_reports.report_failed_start(error, self._restarts.wait_left(now))
