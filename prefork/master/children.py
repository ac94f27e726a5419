"""The master's ties to its workers: forking them, hearing from them, collecting them.

Everything that a worker may have to say or to suffer comes through one epoll, whose descriptor the
server's loop waits for: a channel for each worker, and the reaper with a pidfd for each.
"""

from __future__ import annotations

import contextlib
import gc
import select
import signal
from collections.abc import Callable, Iterator

from prefork.linux.fork import fork_child
from prefork.linux.reaper import Reaper, a_slice
from prefork.linux.signal_mask import signals_blocked
from prefork.linux.syscalls import System
from prefork.master.fork_server import Adopt, ForkServer
from prefork.settings import Settings
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers import title
from prefork.workers.birth import reset_signals
from prefork.workers.factory import WorkerFactory
from prefork.workers.main import WorkerConfig, WorkerContext
from prefork.workers.protocol.channel import Channel, Kind, Message
from prefork.workers.protocol.exit_codes import Death, ProcessMain
from prefork.workers.protocol.scoreboard import Reading, Scoreboard

Fork = Callable[[Channel, Channel, Adopt], None]
"""Forks a worker with its channel, the master's end and its own, and has its pid adopted."""

FROZEN_AT_FIRST = gc.get_freeze_count()
"""Objects frozen before any program could have done so: CPython 3.12 starts with some hundred."""


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
        """The descriptor to wait for, -1 once the children is closed."""
        return -1 if self._epoll.closed else self._epoll.fileno()

    @property
    def watches_others(self) -> bool:
        """Whether there is anybody to hear who is no worker."""
        return bool(self._others)

    def wait(self, timeout: float | None) -> None:
        """Sleep until there is something to hear or to collect, at most `timeout` seconds.

        May return early: another thread may have collected it meanwhile.
        """
        with contextlib.suppress(ValueError, OSError):  # closed by another thread meanwhile
            self._epoll.poll(a_slice(timeout))

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has anything to say, and nobody has died."""
        return not (self._epoll.poll(0) or self.someone_died(set()))

    def ready_fds(self) -> set[int]:
        """The descriptors on which there is something now: news from workers, or a death."""
        return {fd for fd, _ in self._epoll.poll(0)}

    def messages(self, ready_fds: set[int]) -> Iterator[tuple[WorkerRecord, Message]]:
        """What the workers whose channels are among `ready_fds` have said since the last time."""
        for fd in ready_fds:
            if fd in self._channels:
                record = self._channels[fd]
                for message in self.drain_messages(record):
                    yield record, message
            elif fd in self._others:
                self._others[fd]()

    def drain_messages(self, record: WorkerRecord) -> Iterator[Message]:
        """What one worker has said; at the end of file only its death is left to come."""
        while record.channel.fileno() in self._channels:
            try:
                message = record.channel.receive()
            except BlockingIOError:
                return
            if message is None:
                self._hang_up(record)
                return
            if message.kind is not Kind.FORKED:  # that it is there is in the books
                yield message

    def someone_died(self, ready_fds: set[int]) -> bool:
        """Whether `deaths()` may have something to say."""
        reaper = self._reaper
        return (
            reaper.fileno() in ready_fds or reaper.must_be_asked or len(reaper) != len(self._pool)
        )

    def deaths(self) -> list[Death]:
        """Who has ended since the last time.

        Also those whose death was lost: somebody's exception (a signal handler's) came between its
        collection and the books.
        """
        deaths = self._reaper.collect()
        found = {death.pid for death in deaths}
        lost = (r.pid for r in self._pool if r.pid not in self._reaper and r.pid not in found)
        return deaths + [Death(pid, None) for pid in lost]

    def forget(self, record: WorkerRecord) -> None:
        """The worker is gone: let go of its channel."""
        self._hang_up(record)
        record.channel.close()

    def send_signal(self, record: WorkerRecord, signo: int) -> None:
        self._reaper.send_signal(record.pid, signo)

    def kill(self, record: WorkerRecord) -> None:
        """End a worker at once, and wait for that; its death is still to come from `deaths()`."""
        self._reaper.send_signal(record.pid, signal.SIGKILL)
        if record.pid in self._reaper:
            self._system.await_end(record.pid)

    def reading(self, record: WorkerRecord) -> Reading:
        """What the worker, or a dead one, has written on the scoreboard."""
        return self.scoreboard.slot(record.slot).read()

    def watch(self, fd: int, note: Callable[[], None]) -> None:
        """When something that is no worker has news on this descriptor, call `note()`."""
        self._others[fd] = note
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """The end of `watch()`, also of one that somebody's exception has cut short."""
        if self._others.pop(fd, None) is not None:
            # By hand: a process that inherited the descriptor keeps the registration alive.
            with contextlib.suppress(FileNotFoundError):
                self._epoll.unregister(fd)

    def follow(self, fd: int, note: Callable[[], None]) -> None:
        """Watch this descriptor in the place of the one that was followed before; -1 for none."""
        if fd != self._followed:
            if self._followed >= 0:
                self.unwatch(self._followed)
            if fd >= 0:
                self.watch(fd, note)
            self._followed = fd

    def fork(
        self, config: WorkerConfig, live: Callable[[WorkerContext], int | ProcessMain]
    ) -> WorkerRecord:
        """Fork a worker that lives with this configuration, and enter it in the pool.

        Errors: `OSError` when there can be no more processes or descriptors.
        """

        def fork(ours: Channel, theirs: Channel, adopt: Adopt) -> None:
            def prepare() -> None:
                ours.close()
                reset_signals(theirs)

            context = WorkerContext(config=config, slot=slot, channel=theirs)
            with self._ready_to_fork(config.process_titles, config.gc_freeze):
                fork_child(lambda: live(context), adopt, prepare, self._system)

        slot = self.scoreboard.slot(config.number)
        return self._enter(config, fork)

    def fork_elsewhere(
        self,
        config: WorkerConfig,
        fork_worker: Callable[[WorkerConfig, Channel, Channel, Adopt], None],
    ) -> WorkerRecord:
        """Have a worker forked by another process, and enter it in the pool.

        `fork_worker()` does that with both ends of its channel, and has its pid adopted, perhaps
        twice.

        Errors: `OSError` when there can be no more descriptors, and those of `fork_worker()`.
        """

        def order(ours: Channel, theirs: Channel, adopt: Adopt) -> None:
            with signals_blocked():
                fork_worker(config, ours, theirs, adopt)

        return self._enter(config, order)

    def _enter(self, config: WorkerConfig, fork: Fork) -> WorkerRecord:
        """Fork a worker into a slot."""
        self.scoreboard.slot(config.number).clear()
        ours, theirs = Channel.pair()
        started = self._system.clock()  # it may serve before it is entered

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
        """Fork a process that forks workers on order, and is none.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        ours, theirs = Channel.pair()
        fork_server = ForkServer(ours, self._system)

        def prepare() -> None:
            ours.close()
            reset_signals(theirs)

        def live() -> int | ProcessMain:
            return factory.fork_server(theirs, settings.name, settings.process_titles)

        try:
            with self._ready_to_fork(settings.process_titles, settings.gc_freeze):
                fork_child(live, fork_server.adopt, prepare, self._system)
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
        # What the workers share stays shared: no collection of theirs will touch it.
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
        """In a forked child: drop the master's ends of everything.

        Nothing is unregistered: what an epoll instance watches is the master's business.
        """
        for record in self._pool:
            record.channel.close()
        self._epoll.close()
        self._reaper.forget()

    def _hang_up(self, record: WorkerRecord) -> None:
        fd = record.channel.fileno()
        if self._channels.pop(fd, None) is not None:
            # By hand: a process that inherited the descriptor keeps the registration alive.
            self._epoll.unregister(fd)
