"""The master's workers: fork, retire, kill and reap them, and receive their messages.

Everything that the master waits for is registered in one epoll instance, for whose descriptor the
server's loop waits: a channel for each worker, and the reaper with a pidfd for each.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import select
import signal
from collections.abc import Callable, Iterator

from prefork.linux.fork import fork_child
from prefork.linux.reaper import Reaper, a_slice
from prefork.linux.signal_mask import signals_blocked
from prefork.linux.syscalls import System
from prefork.master.fork_server import Adopt, ForkServer
from prefork.settings import Settings
from prefork.state.lifecycle import WorkerEvent, WorkerState
from prefork.state.worker_status import WorkerStatus, status_of
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers import title
from prefork.workers.birth import reset_signals
from prefork.workers.factory import WorkerFactory
from prefork.workers.main import WorkerConfig, WorkerContext
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.exit_codes import Death, ProcessMain
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.protocol.scoreboard import Reading, Scoreboard

logger = logging.getLogger("prefork")

RETIRE = Message(Kind.RETIRE)

Fork = Callable[[Channel, Channel, Adopt], None]
"""Forks a worker, given both ends of its channel (the master's first), and passes on its pid."""

FROZEN_AT_FIRST = gc.get_freeze_count()
"""The number of objects that the interpreter itself froze: some hundred in CPython 3.12."""


class Children:
    """The processes behind the records of a pool."""

    def __init__(self, pool: WorkerTable, system: System) -> None:
        self._pool = pool
        self._system = system
        self.scoreboard = Scoreboard()
        self._reaper = Reaper(system)
        self._epoll = select.epoll()
        self._epoll.register(self._reaper.fileno(), select.EPOLLIN)
        self._channels: dict[int, WorkerRecord] = {}
        self._followed = -1
        self._others: dict[int, Callable[[], None]] = {}
        self._frozen_by_program = gc.get_freeze_count() > FROZEN_AT_FIRST

    def fileno(self) -> int:
        """Return the descriptor to wait for, or -1 once this is closed."""
        return -1 if self._epoll.closed else self._epoll.fileno()

    def wait(self, timeout: float | None) -> None:
        """Wait until there is something to collect, at most `timeout` seconds (`None`: no limit).

        May return with nothing left to collect, if another thread has collected it.
        """
        with contextlib.suppress(ValueError, OSError):  # closed by another thread
            self._epoll.poll(a_slice(timeout))

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to collect."""
        return not (self._epoll.poll(0) or self._may_have_died(set()))

    def collect(
        self,
        hear: Callable[[WorkerRecord, Message], None],
        reap: Callable[[list[Death]], None],
    ) -> None:
        """Pass messages to `hear()`, then deaths to `reap()`; call what `watch()` was given."""
        if not (len(self._pool) or self._others):
            return
        ready_fds = {fd for fd, _ in self._epoll.poll(0)}
        for fd in ready_fds:
            if fd in self._channels:
                record = self._channels[fd]
                for message in self.drain_messages(record):
                    hear(record, message)
            elif fd in self._others:
                self._others[fd]()
        if self._may_have_died(ready_fds):
            reap(self._deaths())

    def drain_messages(self, record: WorkerRecord) -> Iterator[Message]:
        """Yield the messages of one worker; after the end of file, only its death can follow."""
        while record.channel.fileno() in self._channels:
            try:
                message = record.channel.receive()
            except BlockingIOError:
                return
            if message is None:
                self._hang_up(record)
                return
            if message.kind is not Kind.FORKED:  # its pid is known already
                yield message

    def forget(self, record: WorkerRecord) -> None:
        """Close the channel of a worker that is gone."""
        if record.sigkill_sent:
            self.kill(record, "forced shutdown")  # reports it if this was not done before
        self._hang_up(record)
        record.channel.close()

    def retire(self, record: WorkerRecord, order: Message = RETIRE) -> None:
        """Ask a worker to leave, unless it has already been asked."""
        if record.state in (WorkerState.STARTING, WorkerState.SERVING):
            self._pool.note(record, WorkerEvent.RETIRED)
            record.channel.send(order)

    def retire_all(self, make_order: Callable[[], Message]) -> None:
        """Ask all workers to leave; `make_order()` is called once if there are any."""
        if len(self._pool):
            order = make_order()
            for record in self._pool:
                self.retire(record, order)

    def kill(self, record: WorkerRecord, why: str) -> int:
        """Send SIGKILL to a worker, unless this was done before.

        Return the number of requests in flight that this aborts.
        """
        if record.state is WorkerState.KILLED:
            return 0
        self._report_kill(record, why)
        self._pool.note(record, WorkerEvent.KILLED)
        return self.send_kill(record)

    def send_kill(self, record: WorkerRecord) -> int:
        """Send SIGKILL to a worker, unless this was done before; do not change the table.

        Return the number of requests in flight that this aborts.
        """
        if record.sigkill_sent:
            return 0
        record.sigkill_sent = True
        self._reaper.send_signal(record.pid, signal.SIGKILL)
        return self.reading(record).in_flight

    def kill_and_wait(self, record: WorkerRecord, why: str) -> None:
        """Send SIGKILL to a worker and wait until it exits; its exit status is collected later."""
        self._report_kill(record, why)
        self._reaper.send_signal(record.pid, signal.SIGKILL)
        if record.pid in self._reaper:
            self._system.await_end(record.pid)

    def reading(self, record: WorkerRecord) -> Reading:
        """Return what a worker has written on the scoreboard, even after the worker has exited."""
        return self.scoreboard.slot(record.slot).read()

    def status(self) -> list[WorkerStatus]:
        """Return what every worker is doing, in the order of the slots."""
        now = self._system.clock()
        return [status_of(r, self.reading(r), now) for r in self._pool.by_slots()]

    def watch(self, fd: int, note: Callable[[], None]) -> None:
        """Call `note()` whenever this descriptor, which is not a worker's, is readable."""
        self._others[fd] = note
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Undo `watch()`, even if an exception raised by a signal handler interrupted it."""
        if self._others.pop(fd, None) is not None:
            # Closing is not enough: a process that inherited the descriptor keeps it registered.
            with contextlib.suppress(FileNotFoundError):
                self._epoll.unregister(fd)

    def follow(self, fd: int, note: Callable[[], None] = lambda: None) -> None:
        """Watch this descriptor instead of the one that was followed before; -1: none."""
        if fd != self._followed:
            if self._followed >= 0:
                self.unwatch(self._followed)
            if fd >= 0:
                self.watch(fd, note)
            self._followed = fd

    def fork(
        self, config: WorkerConfig, run: Callable[[WorkerContext], int | ProcessMain]
    ) -> WorkerRecord:
        """Fork a worker with this configuration that calls `run()`, and enter it in the table.

        Errors: `OSError` if no process can be forked or no descriptor can be opened.
        """

        def fork(ours: Channel, theirs: Channel, adopt: Adopt) -> None:
            def prepare() -> None:
                ours.close()
                reset_signals(theirs)

            context = WorkerContext(config=config, slot=slot, channel=theirs)
            with self._ready_to_fork(config.process_titles, config.gc_freeze):
                fork_child(lambda: run(context), adopt, prepare, self._system)

        slot = self.scoreboard.slot(config.number)
        return self._enter(config, fork)

    def fork_elsewhere(
        self,
        config: WorkerConfig,
        fork_worker: Callable[[WorkerConfig, Channel, Channel, Adopt], None],
    ) -> WorkerRecord:
        """Have a worker forked by another process, and enter it in the table.

        `fork_worker()` is given both ends of the channel, and passes on the pid, possibly twice.

        Errors: `OSError` if no descriptor can be opened, and those of `fork_worker()`.
        """

        def order(ours: Channel, theirs: Channel, adopt: Adopt) -> None:
            with signals_blocked():
                fork_worker(config, ours, theirs, adopt)

        return self._enter(config, order)

    def _enter(self, config: WorkerConfig, fork: Fork) -> WorkerRecord:
        """Call `fork()` to fork a worker into the slot that its configuration names."""
        self.scoreboard.slot(config.number).clear()
        ours, theirs = Channel.pair()
        started = self._system.clock()  # before the fork: the worker may serve at once

        def adopt(pid: int) -> None:
            if self._pool.holds(config.number):
                return
            record = WorkerRecord(config.number, pid, ours, started, config.persistent)
            self._pool.add(record)
            self._reaper.adopt(pid)
            self._channels[ours.fileno()] = record
            self._epoll.register(ours.fileno(), select.EPOLLIN)

        try:
            fork(ours, theirs, adopt)
        except BaseException:
            if not self._pool.holds(config.number):
                ours.close()
            raise
        finally:
            theirs.close()
        return self._pool.by_slot(config.number)

    def start_fork_server(self, factory: WorkerFactory, settings: Settings) -> ForkServer:
        """Fork a fork server: a process that forks workers when the master orders it to.

        Errors: `OSError` if no process can be forked or no descriptor can be opened.
        """
        ours, theirs = Channel.pair()
        fork_server = ForkServer(ours, self._system)

        def prepare() -> None:
            ours.close()
            reset_signals(theirs)

        def run() -> int | ProcessMain:
            return factory.fork_server(theirs, settings.name, settings.process_titles)

        try:
            with self._ready_to_fork(settings.process_titles, settings.gc_freeze):
                fork_child(run, fork_server.adopt, prepare, self._system)
            theirs.close()
        except BaseException:
            theirs.close()
            fork_server.end()
            raise
        return fork_server

    @contextlib.contextmanager
    def _ready_to_fork(self, titles: bool, freeze: bool) -> Iterator[None]:
        if titles:
            title.load()
        # Garbage collections in workers do not write to frozen objects, so these stay shared.
        if freeze:
            gc.freeze()
        try:
            yield
        finally:
            if freeze and not self._frozen_by_program:
                gc.unfreeze()

    def close(self) -> None:
        self._epoll.close()
        self._reaper.close()

    def forget_all(self) -> None:
        """Close the master's descriptors in a forked child.

        Nothing is unregistered, since the child shares the epoll instance with the master.
        """
        for record in self._pool:
            record.channel.close()
        self._epoll.close()
        self._reaper.forget()

    def _may_have_died(self, ready_fds: set[int]) -> bool:
        """Whether `_deaths()` may find a worker that has ended."""
        reaper = self._reaper
        return (
            reaper.fileno() in ready_fds or reaper.must_be_asked or len(reaper) != len(self._pool)
        )

    def _deaths(self) -> list[Death]:
        """Return the deaths of the workers that have ended since the last call.

        Includes a death that was collected but did not reach the table, because a signal handler
        raised an exception in between.
        """
        deaths = self._reaper.collect()
        found = {death.pid for death in deaths}
        lost = (r.pid for r in self._pool if r.pid not in self._reaper and r.pid not in found)
        return deaths + [Death(pid, None) for pid in lost]

    def _report_kill(self, record: WorkerRecord, why: str) -> None:
        logger.warning(
            "Killing worker %d (pid %d): %s.",
            record.slot,
            record.pid,
            why,
            extra={"event": "worker_killed", "slot": record.slot, "pid": record.pid, "reason": why},
        )

    def _hang_up(self, record: WorkerRecord) -> None:
        fd = record.channel.fileno()
        if self._channels.pop(fd, None) is not None:
            # Closing is not enough: a process that inherited the descriptor keeps it registered.
            self._epoll.unregister(fd)
