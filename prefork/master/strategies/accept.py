"""`accept`: workers take requests from the listener that they share; the kernel balances them."""

from __future__ import annotations

from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.dispatcher import NoDispatcher
from prefork.master.strategies.listeners import SharedListeners
from prefork.policies.idle_order import waits_before_requeue
from prefork.state.worker_table import WorkerTable
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.messages import Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.several import SharedGroupSource
from prefork.workers.sources.shared import SharedDatagramSource, SharedSource


class Accept(Strategy):
    """Workers take requests from the shared listener."""

    workers_take = True

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        super().__init__(server, pool)
        self.dispatcher = NoDispatcher()
        self.listeners = SharedListeners(server)

    def persistent(self, most: int) -> int:
        return most

    def last_order(self) -> Message:
        return drain_order(self)

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        return shared_source(self.server, context, in_flight)


def drain_order(strategy: Strategy) -> Message:
    """Return the order to empty the backlog and then leave.

    Its limit includes one request for each worker: while it was in flight, another client may have
    taken its place in the backlog.
    """
    return Message.drain(strategy.listeners.waiting_at_most() + len(strategy.pool))


def shared_source(
    server: ServerInMaster, context: WorkerContext, in_flight: InFlight | None
) -> SharedSource:
    """Return the source that reads the shared listener, or the shared listeners of a group."""
    first, *others = server.listeners()
    kind = SharedDatagramSource if first.tries_cheaply() else SharedSource
    if others:
        kind = SharedGroupSource
    order, most = server.settings().idle_order, server.max_children()
    return kind(server, context.channel, in_flight, waits_before_requeue(order, most))
