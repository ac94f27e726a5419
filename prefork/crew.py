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

from prefork.forker import Adopt, Forker
from prefork.pool import Pool, WorkerRecord
from prefork.reaper import Death, Reaper, a_slice
from prefork.settings import Settings
from prefork.signals import held_back
from prefork.spawner import spawn
from prefork.system import System
from prefork.workers import title
from prefork.workers.birth import reset_signals
from prefork.workers.channel import Channel, Kind, Message
from prefork.workers.exits import Life
from prefork.workers.forker import Nursery
from prefork.workers.main import Assignment, Terms
from prefork.workers.scoreboard import Reading, Scoreboard

Fork = Callable[[Channel, Channel, Adopt], None]
"""Forks a worker with its channel, the master's end and its own, and has its pid adopted."""

FROZEN_AT_FIRST = gc.get_freeze_count()
"""Objects frozen before any program could have done so: CPython 3.12 starts with some hundred."""


class Crew:
    """The processes behind the records of a pool."""

    def __init__(self, pool: Pool, system: System) -> None:
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
        """The descriptor to wait for, -1 once the crew is closed."""
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

    def stirred(self) -> set[int]:
        """The descriptors on which there is something now: news from workers, or a death."""
        return {fd for fd, _ in self._epoll.poll(0)}

    def messages(self, stirred: set[int]) -> Iterator[tuple[WorkerRecord, Message]]:
        """What the workers whose channels are among `stirred` have said since the last time."""
        for fd in stirred:
            if fd in self._channels:
                record = self._channels[fd]
                for message in self.last_words(record):
                    yield record, message
            elif fd in self._others:
                self._others[fd]()

    def last_words(self, record: WorkerRecord) -> Iterator[Message]:
        """What one worker has said; at the end of file only its death is left to come."""
        while record.channel.fileno() in self._channels:
            try:
                message = record.channel.receive()
            except BlockingIOError:
                return
            if message is None:
                self._hang_up(record)
                return
            if message.kind is not Kind.BORN:  # that it is there is in the books
                yield message

    def someone_died(self, stirred: set[int]) -> bool:
        """Whether `deaths()` may have something to say."""
        reaper = self._reaper
        return reaper.fileno() in stirred or reaper.must_be_asked or len(reaper) != len(self._pool)

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

    def spawn(self, terms: Terms, live: Callable[[Assignment], int | Life]) -> WorkerRecord:
        """Fork a worker that lives on these terms, and enter it in the pool.

        Errors: `OSError` when there can be no more processes or descriptors.
        """

        def fork(ours: Channel, theirs: Channel, adopt: Adopt) -> None:
            def prepare() -> None:
                ours.close()
                reset_signals(theirs)

            given = Assignment(terms=terms, slot=slot, channel=theirs)
            with self._ready_to_fork(terms.titles, terms.freeze):
                spawn(lambda: live(given), adopt, prepare, self._system)

        slot = self.scoreboard.slot(terms.number)
        return self._enter(terms, fork)

    def spawn_elsewhere(
        self, terms: Terms, bear: Callable[[Terms, Channel, Channel, Adopt], None]
    ) -> WorkerRecord:
        """Have a worker forked by another process, and enter it in the pool.

        `bear()` does that with both ends of its channel, and has its pid adopted, perhaps twice.

        Errors: `OSError` when there can be no more descriptors, and those of `bear()`.
        """

        def order(ours: Channel, theirs: Channel, adopt: Adopt) -> None:
            with held_back():
                bear(terms, ours, theirs, adopt)

        return self._enter(terms, order)

    def _enter(self, terms: Terms, fork: Fork) -> WorkerRecord:
        """Fork a worker into a slot."""
        self.scoreboard.slot(terms.number).clear()
        ours, theirs = Channel.pair()

        def adopt(pid: int) -> None:
            if self._pool.holds(terms.number):
                return
            started = self._system.clock()
            record = WorkerRecord(terms.number, pid, ours, started, terms.standing)
            self._pool.add(record)
            self._reaper.adopt(pid)
            self._channels[ours.fileno()] = record
            self._epoll.register(ours.fileno(), select.EPOLLIN)

        try:
            fork(ours, theirs, adopt)
        except BaseException:
            if not self._pool.holds(terms.number):
                ours.close()
            raise
        finally:
            theirs.close()
        return self._pool.by_slot(terms.number)

    def spawn_forker(self, nursery: Nursery, settings: Settings) -> Forker:
        """Fork a process that forks workers on order, and is none.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        ours, theirs = Channel.pair()
        forker = Forker(ours, self._system)

        def prepare() -> None:
            ours.close()
            reset_signals(theirs)

        def live() -> int | Life:
            return nursery.forker(theirs, settings.name, settings.titles)

        try:
            with self._ready_to_fork(settings.titles, settings.freeze):
                spawn(live, forker.adopt, prepare, self._system)
            theirs.close()
        except BaseException:
            theirs.close()
            forker.end()
            raise
        return forker

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
