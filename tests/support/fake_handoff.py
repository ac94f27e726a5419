"""`handoff` as the master uses it, with workers that are a record and a channel: no forks."""

from __future__ import annotations

from typing import Any

from prefork.master.strategies.handoff import Handoff
from prefork.master.strategies.handoff_dispatcher import HandoffDispatcher
from prefork.settings import Settings
from prefork.state.lifecycle import WorkerEvent
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Kind, Message, PackedRequest
from tests.support.fake_system import FakeServer


class PackedRequestServer(FakeServer):
    """A server whose requests are already packed; `None` is a request that cannot be passed on."""

    bound: int | None = None

    def threads(self) -> int | None:
        return self.bound

    def pack(self, request: Any, client_address: Any) -> PackedRequest | None:
        packed: PackedRequest | None = request
        return packed


class Worker:
    """A record in the worker table; the test determines what the worker does."""

    def __init__(self, handoff: HandoffDispatcher, pool: WorkerTable, pid: int) -> None:
        self._handoff = handoff
        self._pool = pool
        masters_end, self.end = Channel.pair()
        self.record = WorkerRecord(pool.free_slot(), pid, masters_end, started=0.0)
        self.in_flight = 0
        self.is_leaving = False
        self.alive = True
        pool.add(self.record)

    def ready(self) -> None:
        self.record.note(WorkerEvent.READY)
        self._handoff.note_ready(self.record)

    def received(self) -> list[Message]:
        """The messages from the master since the last call."""
        messages: list[Message] = []
        while True:
            try:
                message = self.end.receive()
            except BlockingIOError:
                return messages
            assert message is not None
            messages.append(message)

    def handed(self) -> list[bytes]:
        """The requests that were handed to the worker since the last call."""
        requests = [message.body for message in self.received() if message.kind is Kind.TAKE]
        self.in_flight += len(requests)
        return requests

    def completes(self) -> None:
        """Complete one of its requests in flight."""
        self.in_flight -= 1
        self._handoff.completions.report(self.record.pid)
        self._handoff.read_completions()

    def wants_to_leave(self) -> None:
        self.is_leaving = True
        self._handoff.note_leaving(self.record)

    def dies(self) -> None:
        self.close()
        self._pool.remove(self.record)
        self._handoff.forget(self.record)

    def close(self) -> None:
        if self.alive:
            self.alive = False
            self.end.close()
            self.record.channel.close()


class HandoffPool:
    """The dispatcher of `handoff` with its workers."""

    def __init__(self, bound: int | None = None, order: str = "fifo") -> None:
        self.server = PackedRequestServer()
        self.server.bound = bound
        self.server.set = Settings(idle_order=order)  # type: ignore[arg-type]
        self._pool = WorkerTable()
        self.strategy = Handoff(self.server, self._pool)
        self.handoff = self.strategy._handoff
        self._workers: list[Worker] = []

    def add_worker(self) -> Worker:
        """Add a worker that is ready."""
        self._workers.append(Worker(self.handoff, self._pool, len(self._workers)))
        self._workers[-1].ready()
        return self._workers[-1]

    def living(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.alive]

    def place(self, *names: bytes) -> bool:
        """Hand out requests; return whether there was a worker for each."""
        return all(self.handoff.place((name, None), None) for name in names)

    def wants_more(self) -> bool:
        return self.handoff.wants_listener(8)

    def close(self) -> None:
        self.strategy.close()
        for worker in self._workers:
            worker.close()
        self.server.listener.close()
