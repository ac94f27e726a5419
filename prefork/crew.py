"""The master's ties to its workers: forking them, hearing from them, collecting them.

Everything that a worker may have to say or to suffer comes through one epoll, whose descriptor the
server's loop waits for: a channel for each worker, and the reaper with a pidfd for each.
"""

from __future__ import annotations

import contextlib
import gc
import select
from collections.abc import Callable, Iterator
from typing import Any

from prefork.pool import Pool, WorkerRecord
from prefork.reaper import Death, Reaper, a_slice
from prefork.settings import Settings
from prefork.spawner import spawn
from prefork.system import System
from prefork.workers import title
from prefork.workers.birth import reset_signals
from prefork.workers.channel import Channel, Message
from prefork.workers.main import Assignment
from prefork.workers.scoreboard import Reading, Scoreboard

FROZEN_AT_FIRST = gc.get_freeze_count()
"""Objects frozen before any program could have done so: CPython 3.12 starts with some hundred."""


class Crew:
    """The processes behind the records of a pool."""

    def __init__(self, pool: Pool, system: System) -> None:
        self._pool = pool
        self._system = system
        self._scoreboard = Scoreboard()
        self._reaper = Reaper(system)
        self._epoll = select.epoll()
        self._epoll.register(self._reaper.fileno(), select.EPOLLIN)
        self._channels: dict[int, WorkerRecord] = {}
        self._followed = -1
        self._frozen_by_program = gc.get_freeze_count() > FROZEN_AT_FIRST

    def fileno(self) -> int:
        """The descriptor to wait for, -1 once the crew is closed."""
        return -1 if self._epoll.closed else self._epoll.fileno()

    def wait(self, timeout: float | None) -> None:
        """Sleep until there is something to hear or to collect, at most `timeout` seconds.

        May return early: another thread may have collected it meanwhile.
        """
        with contextlib.suppress(ValueError, OSError):  # closed by another thread meanwhile
            self._epoll.poll(a_slice(timeout))

    def follow(self, fd: int) -> None:
        """Wake up by this descriptor as well, and no more by the one before; -1 for none."""
        if fd != self._followed:
            if self._followed >= 0:
                self._epoll.unregister(self._followed)
            if fd >= 0:
                self._epoll.register(fd, select.EPOLLIN)
            self._followed = fd

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has anything to say, and nobody has died."""
        return not (self._epoll.poll(0) or self.someone_died(set()))

    @property
    def has_messages(self) -> bool:
        """Whether there is something beside what the followed descriptor says."""
        stirred = self._epoll.poll(0)
        return bool(stirred) and stirred != [(self._followed, select.EPOLLIN)]

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

    def reading(self, record: WorkerRecord) -> Reading:
        """What the worker, or a dead one, has written on the scoreboard."""
        return self._scoreboard.slot(record.slot).read()

    def spawn(
        self,
        live: Callable[[Assignment], int],
        settings: Settings,
        limit: int | None,
        **given: Any,
    ) -> WorkerRecord:
        """Fork a worker into the lowest free slot and enter it in the pool.

        It runs `live()` with its assignment, of which `given` is the part that is not decided here;
        `limit` comes before the limit of requests in the settings.

        Errors: `OSError` when there can be no more processes or descriptors.
        """
        number = self._pool.free_slot()
        slot = self._scoreboard.slot(number)
        slot.clear()
        ours, theirs = Channel.pair()

        def prepare() -> None:
            ours.close()
            reset_signals(theirs)

        assignment = Assignment(
            number=number,
            slot=slot,
            channel=theirs,
            max_requests=settings.drawn_max_requests() if limit is None else limit,
            name=settings.name,
            titles=settings.titles,
            **given,
        )

        def adopt(pid: int) -> None:
            started = self._system.clock()
            record = WorkerRecord(number, pid, ours, started, assignment.standing)
            self._pool.add(record)
            self._reaper.adopt(pid)
            self._channels[ours.fileno()] = record
            self._epoll.register(ours.fileno(), select.EPOLLIN)

        if settings.titles:
            title.load()
        # What the workers share stays shared: no collection of theirs will touch it.
        if settings.freeze:
            gc.freeze()
        try:
            spawn(lambda: live(assignment), adopt, prepare, self._system)
        except BaseException:
            if not self._pool.holds(number):
                ours.close()
            raise
        finally:
            theirs.close()
            if settings.freeze and not self._frozen_by_program:
                gc.unfreeze()
        return self._pool.by_slot(number)

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
