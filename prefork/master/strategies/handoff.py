"""`handoff`: the master takes each request and hands its descriptor to an idle worker."""

from __future__ import annotations

from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.handoff_dispatcher import HandoffDispatcher
from prefork.master.strategies.listeners import SharedListeners
from prefork.state.worker_table import WorkerTable
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.messages import Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.handoff import HandoffSource


class Handoff(Strategy):
    """The master hands each request to a worker.

    Once a request cannot be passed to another process, a worker is forked for each request instead.
    """

    hands_over = True

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        super().__init__(server, pool)
        self.dispatcher = self._handoff = HandoffDispatcher(server, pool)
        self.listeners = SharedListeners(server)

    def persistent(self, most: int) -> int:
        return most if self._handoff.is_possible else 0

    def last_order(self) -> Message:
        # A worker finishes only what it holds; unlike RETIRE, DRAIN may abort daemon threads.
        return Message.drain(0)

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        completions = self._handoff.completions
        return HandoffSource(self.server, context.channel, in_flight, completions)

    def end(self) -> None:
        super().end()
        # Workers have no listener, so it is restored before the last of them is gone. By then, the
        # listener may be closed in this process, and still open in another program.
        self.listeners.restore()
