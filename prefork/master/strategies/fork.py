"""`fork`: a process for each request, forked when it has come or, better, before."""

from __future__ import annotations

from prefork.master.strategies.accept import Accept
from prefork.master.strategies.base import Strategy
from prefork.state.worker_table import WorkerRecord
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.channel import Kind, Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.shared import say_taken


class Fork(Strategy):
    """All as it stands: nobody waits ready, the master takes each request and forks for it."""


class ForkAhead(Accept):
    """`fork_ahead` workers wait for the one request that each will serve.

    As soon as one has it, it does not count as persistent any more and the next one is forked: no
    client waits for a fork as long as fewer than `fork_ahead` come at a time. The backlog that is
    left at the end is taken by the master, for these workers would leave after one request.
    """

    workers_take = False
    requests_at_most = 1

    def persistent(self, most: int) -> int:
        return min(most, self.server.settings().fork_ahead)

    def hear(self, record: WorkerRecord, message: Message) -> None:
        assert message.kind is Kind.TAKEN, message
        self.pool.discount(record)

    def has_pending(self) -> bool:
        return False

    def last_order(self, record: WorkerRecord) -> Message:
        return Message(Kind.RETIRE)

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        source = self.shared(context, in_flight)
        source.take = say_taken(source.take, context.channel)
        return source
