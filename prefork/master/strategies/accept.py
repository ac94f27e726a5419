"""`accept`: the workers take requests from the listener they share; the kernel balances."""

from __future__ import annotations

from prefork.linux.listeners import has_pending
from prefork.master.strategies.base import Strategy
from prefork.policies.idle_order import waits_before_requeue
from prefork.readings.backlog import waiting_at_most
from prefork.state.worker_table import WorkerRecord
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.channel import Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.several import SharedGroupSource
from prefork.workers.sources.shared import SharedDatagramSource, SharedSource


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

    def shared(self, context: WorkerContext, in_flight: InFlight | None) -> SharedSource:
        """The listener that workers share, or the listeners of a group."""
        first, *others = self.server.listeners()
        kind = SharedDatagramSource if first.tries_cheaply() else SharedSource
        if others:
            kind = SharedGroupSource
        order, most = self.server.settings().idle_order, self.server.max_children()
        requeue_after = waits_before_requeue(order, most)
        return kind(self.server, context.channel, in_flight, requeue_after)
