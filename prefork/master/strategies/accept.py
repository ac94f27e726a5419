"""`accept`: the workers take requests from the listener they share; the kernel balances."""

from __future__ import annotations

from prefork.linux.listeners import has_pending
from prefork.master.strategies.base import Strategy
from prefork.policies.idle_order import turns_of
from prefork.readings.backlog import waiting_at_most
from prefork.state.worker_table import WorkerRecord
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.channel import Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.several import SharedListeners
from prefork.workers.sources.shared import SharedDatagrams, SharedListener


class Accept(Strategy):
    workers_take = True

    def persistent(self, most: int) -> int:
        return most

    def wants_listener(self, most: int) -> bool:
        return False

    def has_pending(self) -> bool:
        return has_pending(self.listening())

    def waiting_at_most(self) -> int:
        return sum(waiting_at_most(one.fileno(), one.backlog()) for one in self.server.listeners())

    def last_order(self, record: WorkerRecord) -> Message:
        # Those in hand count too: a client may have come in their place meanwhile.
        return Message.drain(self.waiting_at_most() + len(self.pool))

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        return self.shared(context, in_flight)

    def shared(self, context: WorkerContext, in_flight: InFlight | None) -> SharedListener:
        """The listener that workers share, or the listeners of a group."""
        first, *others = self.server.listeners()
        kind = SharedDatagrams if first.tries_cheaply() else SharedListener
        if others:
            kind = SharedListeners
        turns = turns_of(self.server.settings().idle_order, self.server.max_children())
        return kind(self.server, context.channel, in_flight, turns)
