"""`handoff` as the master uses it, with workers that are records and a channel: nothing forked."""

from __future__ import annotations

from typing import Any

from prefork.master.strategies.handoff import Handoff
from prefork.master.strategies.handoff_dispatcher import HandoffDispatcher
from prefork.settings import Settings
from prefork.state.lifecycle import WorkerEvent
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.protocol.channel import Channel, Kind, Message, PackedRequest
from tests.support.fake_system import FakeServer


class DeskServer(FakeServer):
    """Its requests are packed already, or `None`: one that cannot travel."""

    bound: int | None = None

    def threads(self) -> int | None:
        return self.bound

    def pack(self, request: Any, client_address: Any) -> PackedRequest | None:
        packed: PackedRequest | None = request
        return packed


class Worker:
    """A record in the books; what the worker does is the test's word."""

    def __init__(self, handoff: HandoffDispatcher, pool: WorkerTable, pid: int) -> None:
        self._handoff = handoff
        self._pool = pool
        ours, self.end = Channel.pair()
        self.record = WorkerRecord(pool.free_slot(), pid, ours, started=0.0)
        self.in_hand = 0
        self.is_leaving = False
        self.alive = True
        pool.add(self.record)

    def ready(self) -> None:
        self.record.note(WorkerEvent.READY)
        self._handoff.note_ready(self.record)

    def heard(self) -> list[Message]:
        """What the master has said since the last time."""
        heard: list[Message] = []
        while True:
            try:
                message = self.end.receive()
            except BlockingIOError:
                return heard
            assert message is not None
            heard.append(message)

    def handed(self) -> list[bytes]:
        """The requests among it."""
        requests = [message.body for message in self.heard() if message.kind is Kind.TAKE]
        self.in_hand += len(requests)
        return requests

    def is_done(self) -> None:
        """One of those that it has in hand is served."""
        self.in_hand -= 1
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


class Desk:
    """Where requests are handed out, and the workers who take them."""

    def __init__(self, bound: int | None = None, order: str = "fifo") -> None:
        self.host = DeskServer()
        self.host.bound = bound
        self.host.set = Settings(idle_order=order)  # type: ignore[arg-type]
        self._pool = WorkerTable()
        self.strategy = Handoff(self.host, self._pool)
        self.handoff = self.strategy._handoff
        self._workers: list[Worker] = []

    def hire(self) -> Worker:
        """One more worker, who is ready."""
        self._workers.append(Worker(self.handoff, self._pool, len(self._workers)))
        self._workers[-1].ready()
        return self._workers[-1]

    def living(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.alive]

    def place(self, *names: bytes) -> bool:
        """Have requests placed; whether there was somebody for each."""
        return all(self.handoff.place((name, None), None) for name in names)

    def wants_more(self) -> bool:
        return self.handoff.wants_listener(8)

    def close(self) -> None:
        self.strategy.close()
        for worker in self._workers:
            worker.close()
        self.host.listener.close()
