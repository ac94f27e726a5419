"""`accept`: the workers take requests from the listener they share; the kernel balances."""

from __future__ import annotations

import errno
import os

from prefork.host import Host
from prefork.listener import Sharing, something_waits, waiting_at_most
from prefork.policies.turns import turns_of
from prefork.pool import Pool, WorkerRecord
from prefork.strategies.base import Strategy
from prefork.workers.channel import Message
from prefork.workers.main import Assignment
from prefork.workers.room import Room
from prefork.workers.service import Lent, Listening
from prefork.workers.sources.base import Source
from prefork.workers.sources.several import SharedListeners
from prefork.workers.sources.shared import SharedDatagrams, SharedListener


class Accept(Strategy):
    workers_take = True

    def __init__(self, host: Host, pool: Pool) -> None:
        super().__init__(host, pool)
        self._sharings: dict[Listening, Sharing] = {}

    def standing(self, most: int) -> int:
        return most

    def wants_listener(self, most: int) -> bool:
        return False

    def open(self) -> None:
        listeners = [one for one in self.host.listeners() if one.fileno() >= 0]
        if not listeners:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        for one in listeners:
            sharing = self._sharings.get(one)
            if sharing is None or not sharing.is_of(one.fileno()):
                sharing = self._sharings[one] = Sharing(one.fileno())
            sharing.begin(one.fileno())

    def rest(self) -> None:
        for one, sharing in self._sharings.items():
            sharing.end(one.fileno())

    def something_waits(self) -> bool:
        return something_waits(one.fileno() for one in self.host.listeners())

    def waiting_at_most(self) -> int:
        return sum(waiting_at_most(one.fileno(), one.backlog()) for one in self.host.listeners())

    def last_order(self, record: WorkerRecord) -> Message:
        # Those in hand count too: a client may have come in their place meanwhile.
        return Message.drain(self.waiting_at_most() + len(self.pool))

    def source(self, given: Assignment, room: Room | None, lent: Lent) -> Source:
        return self.shared(given, room)

    def shared(self, given: Assignment, room: Room | None) -> SharedListener:
        """The listener that workers share, or the listeners of a group."""
        first, *others = self.host.listeners()
        kind = SharedDatagrams if first.tries_cheaply() else SharedListener
        if others:
            kind = SharedListeners
        turns = turns_of(self.host.settings().order, self.host.max_children())
        return kind(self.host, given.channel, room, turns)
