"""`handoff`: the master takes each request and hands its descriptor to a worker that is idle."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any

from prefork.master.server_view import ServerInMaster
from prefork.master.strategies.base import Strategy
from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.channel import MAX_BODY, Kind, Message
from prefork.workers.protocol.completions import Completions
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.handoff import HandoffSource

MOST_IN_CHANNEL = 200
"""Requests in hand of one worker, at most: so many fit into a channel (unix(7): SO_SNDBUF) even if
the worker is busy and reads none of them."""

MOST_UNHEARD = 1000
"""Requests handed over without a look at what is done: so many words fit into the pipe."""

logger = logging.getLogger("prefork")


class Handoff(Strategy):
    """Keeps how many requests each worker has in hand, and a line of those with room for more.

    First in line is who has waited longest or, with the order `lifo`, who was done last. A worker
    says when it is done, so this is exact: no request waits behind another while a worker is idle,
    and the master takes none before one is.
    """

    hands_over = True

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        super().__init__(server, pool)
        self._in_hand: dict[int, int] = {}
        self._most_in_hand = 1
        self._line: OrderedDict[int, WorkerRecord] = OrderedDict()
        self._all_travel = True
        self._completions = Completions()
        self._unheard = 0  # requests handed over since the last time that it listened

    def persistent(self, most: int) -> int:
        return most if self._all_travel else super().persistent(most)

    def wants_listener(self, most: int) -> bool:
        if not self._all_travel:
            return super().wants_listener(most)
        return self.can_take_more()

    def begin(self) -> None:
        self._all_travel = True

    def end(self) -> None:
        # Nobody but the master takes requests: this need not wait until the last worker is gone, by
        # when the listener may be closed here, and be somebody else's still.
        self.restore_listeners()

    def can_take_more(self) -> bool:
        return self._first_in_line() is not None

    def place(self, request: Any, client_address: Any) -> bool:
        packed = self.server.pack(request, client_address)
        if packed is None or len(packed[0]) > MAX_BODY:
            self._note_that_requests_stay()
            return False
        message = Message(Kind.TAKE, *packed)
        placed = False
        passed_over = []
        while not placed and (record := self._first_in_line()) is not None:
            del self._line[record.pid]
            placed = record.channel.send(message)
            if placed:
                self._in_hand[record.pid] += 1
                self._unheard += 1
                self._join_line(record)
            elif record.channel.broken:
                del self._in_hand[record.pid]  # it is about to end: nothing more for it
            elif not self._in_hand[record.pid]:
                passed_over.append(record)  # it has nothing in hand to say "done" of
        for record in passed_over:
            self._join_line(record)
        return placed

    def ready(self, record: WorkerRecord) -> None:
        if record.persistent:
            threads = self.server.threads()
            self._most_in_hand = (
                1 if threads is None else min(threads or MOST_IN_CHANNEL, MOST_IN_CHANNEL)
            )
            self._in_hand[record.pid] = 0
            self._join_line(record)

    def hear(self, record: WorkerRecord, message: Message) -> None:
        assert message.kind is Kind.LEAVING, message
        if record.pid in self._in_hand:
            self.forget(record)
            record.channel.send(Message(Kind.RETIRE))

    def fileno(self) -> int:
        # As long as somebody is idle it does not matter who else is.
        return -1 if self._line else self._completions.fileno()

    def listen(self) -> None:
        self._unheard = 0
        in_hand = self._in_hand
        for (pid,) in self._completions.heard():
            if pid in in_hand and (record := self.pool.by_pid(pid)) is not None:
                in_hand[pid] -= 1
                self._join_line(record)
                if pid in self._line and self._is_hot():
                    self._line.move_to_end(pid)

    def forget(self, record: WorkerRecord) -> None:
        self._line.pop(record.pid, None)
        self._in_hand.pop(record.pid, None)

    def has_request_in_transit(self, record: WorkerRecord) -> bool:
        self.listen()
        return self._in_hand.get(record.pid, 0) > 0

    def close(self) -> None:
        self._completions.close()

    def close_in_child(self) -> None:
        self._completions.close_in_child()

    def last_order(self, record: WorkerRecord) -> Message:
        # Nothing more than it holds already; unlike RETIRE it lets daemon threads be cut off.
        return Message.drain(0)

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        return HandoffSource(self.server, context.channel, in_flight, self._completions)

    def _first_in_line(self) -> WorkerRecord | None:
        """Who is to have the next request; retired workers lose their place."""
        hot = self._is_hot()
        if hot or not self._line or self._unheard >= MOST_UNHEARD:
            self.listen()
        while self._line:
            record = next(reversed(self._line.values()) if hot else iter(self._line.values()))
            if record.state is WorkerState.SERVING:
                return record
            del self._line[record.pid]
        return None

    def _is_hot(self) -> bool:
        return self.server.settings().idle_order == "lifo"

    def _join_line(self, record: WorkerRecord) -> None:
        if self._in_hand[record.pid] < self._most_in_hand:
            self._line[record.pid] = record

    def _note_that_requests_stay(self) -> None:
        if self._all_travel:
            self._all_travel = False
            logger.warning(
                "Requests of this server cannot be handed to another process (a TLS connection or "
                "a very long datagram, say); from now on a worker is forked for each, as under the "
                "strategy fork."
            )
