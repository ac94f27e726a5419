"""The inside of a forker: a process that serves no request, and forks workers on order.

It has one thread, so no lock can be held by another one at a fork. The master forks one before
others have threads to fear; a worker that is warm forks one with all that it has in memory, a mold.
"""

from __future__ import annotations

import functools
import gc
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from prefork.workers import current, threads, title
from prefork.workers.birth import reset_signals
from prefork.workers.channel import MAX_BODY, Channel, Kind, Message, encoded
from prefork.workers.exits import ExitCode, Life
from prefork.workers.main import Assignment, Terms
from prefork.workers.room import Room
from prefork.workers.scoreboard import Scoreboard
from prefork.workers.service import Lent, Service
from prefork.workers.sources.base import Source

ANSWER_TIMEOUT = 2.0
"""Seconds that a worker which is about to fork waits for the master's word, and serves nobody."""


@dataclass(frozen=True)
class Nursery:
    """What workers are made of, wherever they are forked."""

    service: Service
    scoreboard: Scoreboard
    live: Callable[[Assignment, Lent], int | Life]
    """The life of a standing worker, with the descriptors that it was lent."""
    divide: Callable[[Callable[[], None]], bool]
    """Forks a child of the master's, whose first act is given; whether this is it."""

    def forker(self, channel: Channel, name: str, titles: bool) -> int | Life:
        """The life of a forker that the master has forked itself."""
        self.service.keep_out()
        if titles:
            title.show_role("forker", name)
        return self._serve_births(channel)

    def grow(
        self, given: Assignment, source: Source, room: Room | None, order: Message
    ) -> Life | None:
        """Fork a mold from this worker, which goes on; in the mold, the life that it is to lead."""

        def prepare() -> None:
            given.channel.close()
            source.let_go()
            if room is not None:
                room.let_go()
            current.slot = None
            reset_signals(channel)
            channel.send(Message.born())

        if order.fd is None:  # out of descriptors
            return None
        channel = Channel.over(order.fd)
        try:
            if (count := threads.count()) > 1:
                channel.send(Message(Kind.FAILED, b"it has %d threads" % count))
            elif self._is_still_to_grow(channel) and self.divide(prepare):
                return functools.partial(self._mold, given.terms, channel)
        except OSError as error:
            channel.send(Message(Kind.FAILED, f"it could not fork it: {error.strerror}".encode()))
        channel.close()
        return None

    def _is_still_to_grow(self, channel: Channel) -> bool:
        """Ask the master, which may have given up, and has to be prepared for the fork."""
        channel.send(Message(Kind.GROW))
        return channel.wait(ANSWER_TIMEOUT) and channel.receive() is not None

    def _mold(self, terms: Terms, channel: Channel) -> int | Life:
        """The life of a mold, which is that of a forker when it is ready."""
        if channel.wait(0):
            return ExitCode.ORPHANED  # the master has given up
        try:
            self.service.promoted()
            if (count := threads.count()) > 1:
                raise RuntimeError(f"it has left {count} threads, where there may be one")
        except BaseException as error:
            text = f"worker_promoted() raised {error!r}\n{traceback.format_exc()}"
            channel.send(Message(Kind.FAILED, encoded(text)[:MAX_BODY]))
            return ExitCode.BOOT_FAILED
        gc.collect()
        if terms.freeze:
            gc.freeze()
        if terms.titles:
            title.show_role("mold", terms.name)
        channel.send(Message(Kind.READY))
        return self._serve_births(channel)

    def _serve_births(self, channel: Channel) -> int | Life:
        """Fork a worker for each order, until the master is gone."""
        lent: list[tuple[int, int]] = []
        while channel.wait(None) and (message := channel.receive()) is not None:
            if message.fd is None:
                break  # out of descriptors: the master sees that the worker's end is gone
            if message.kind is Kind.LEND:
                lent.append((int(message.body), message.fd))
            elif message.kind is Kind.BEAR:
                newborn = Channel.over(message.fd)
                life = self._bear(Terms.unpacked(message.body), newborn, tuple(lent), channel)
                if life is not None:
                    return life
                newborn.close()
                while lent:
                    os.close(lent.pop()[1])
        return ExitCode.TERMINATED if channel.hung_up else ExitCode.ORPHANED

    def _bear(self, terms: Terms, newborn: Channel, lent: Lent, channel: Channel) -> Life | None:
        """Fork a worker; in the worker, the life that it is to lead."""

        def prepare() -> None:
            channel.close()
            reset_signals(newborn)
            newborn.send(Message.born())

        try:
            if not self.divide(prepare):
                return None
        except OSError as error:
            newborn.send(Message(Kind.FAILED, b"%d" % (error.errno or 0)))
            return None
        slot = self.scoreboard.slot(terms.number)
        assignment = Assignment(terms=terms, slot=slot, channel=newborn)
        if terms.titles:
            assignment.title().show(0)  # until it has more to say: it is a forker no longer
        return functools.partial(self.live, assignment, lent)
