"""`reuseport`: a listener for each worker, on one port; the kernel spreads clients over them."""

from __future__ import annotations

from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.accept import drain_order
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.dispatcher import NoDispatcher
from prefork.master.strategies.listener_per_worker import OneListenerAWorker
from prefork.state.worker_table import WorkerTable
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.messages import Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.reuseport import ReuseportSource


class Reuseport(Strategy):
    """Each worker takes requests from its own listener."""

    has_siblings = True
    workers_take = True

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        super().__init__(server, pool)
        self.dispatcher = NoDispatcher()
        self.listeners = OneListenerAWorker(server, pool)

    def persistent(self, most: int) -> int:
        return most

    def last_order(self) -> Message:
        return drain_order(self)

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        return ReuseportSource(self.server, context.channel, in_flight, passed_fds)
