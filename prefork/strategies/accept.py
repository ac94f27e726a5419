"""`accept`: the workers take requests from the listener they share; the kernel balances."""

from __future__ import annotations

from prefork.host import Host
from prefork.listener import Sharing, something_waits, waiting_at_most
from prefork.pool import Pool, WorkerRecord
from prefork.strategies.base import Lent, Strategy
from prefork.workers.channel import Message
from prefork.workers.main import Assignment
from prefork.workers.room import Room
from prefork.workers.sources.base import Source
from prefork.workers.sources.shared import SharedDatagrams, SharedListener


class Accept(Strategy):
    workers_take = True

    def __init__(self, host: Host, pool: Pool) -> None:
        super().__init__(host, pool)
        self._sharing: Sharing | None = None

    def standing(self, most: int) -> int:
        return most

    def wants_listener(self, most: int) -> bool:
        return False

    def open(self) -> None:
        fd = self.host.fileno()
        if self._sharing is None or not self._sharing.is_of(fd):
            self._sharing = Sharing(fd)
        self._sharing.begin(fd)

    def rest(self) -> None:
        if self._sharing is not None:
            self._sharing.end(self.host.fileno())

    def something_waits(self) -> bool:
        return something_waits(self.host.fileno())

    def waiting_at_most(self) -> int:
        return waiting_at_most(self.host.fileno(), self.host.backlog())

    def last_order(self, record: WorkerRecord) -> Message:
        # Those in hand count too: a client may have come in their place meanwhile.
        return Message.drain(self.waiting_at_most() + len(self.pool))

    def source(self, given: Assignment, room: Room | None, lent: Lent) -> Source:
        kind = SharedDatagrams if self.host.tries_cheaply() else SharedListener
        return kind(self.host, given.channel, room, self.host.settings().order)
