"""`fork`: one process for each request, forked when it arrives or, with `fork_ahead`, before."""

from __future__ import annotations

from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.accept import shared_source
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.dispatcher import ForkDispatcher, NoDispatcher
from prefork.master.strategies.listeners import SharedListeners
from prefork.settings import Settings
from prefork.state.worker_table import WorkerTable
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.shared import report_taken


class Fork(Strategy):
    """The master takes each request and forks a worker for it; no worker is persistent."""

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        super().__init__(server, pool)
        self.dispatcher = ForkDispatcher(pool)
        self.listeners = SharedListeners(server)

    @classmethod
    def variant(cls, settings: Settings) -> type[Strategy]:
        return ForkAhead if settings.fork_ahead else cls

    def persistent(self, most: int) -> int:
        return 0

    def last_order(self) -> Message:
        return Message(Kind.RETIRE)


class ForkAhead(Strategy):
    """`fork_ahead` workers wait, each for the one request that it will serve.

    A worker that has taken its request no longer counts as persistent, and the next one is forked.
    So no client waits for a fork as long as fewer than `fork_ahead` clients arrive at once. Since
    each worker leaves after one request, the master takes what is left in the backlog when the
    server stops.
    """

    requests_at_most = 1

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        super().__init__(server, pool)
        self.dispatcher = NoDispatcher()
        self.listeners = SharedListeners(server)

    def persistent(self, most: int) -> int:
        return min(most, self.server.settings().fork_ahead)

    def last_order(self) -> Message:
        return Message(Kind.RETIRE)

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        source = shared_source(self.server, context, in_flight)
        source.take = report_taken(source.take, context.channel)
        return source
