"""Hands requests to idle workers, and keeps track of the requests that each worker holds."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any

from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.dispatcher import Dispatcher, ForkDispatcher
from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.protocol.completions import Completions
from prefork.workers.protocol.messages import MAX_BODY, Kind, Message

MAX_IN_CHANNEL = 200
"""Maximum number of requests that one worker holds: that many fit into a channel (unix(7):
SO_SNDBUF) even if the worker is busy and does not read them."""

MAX_UNREAD = 1000
"""Maximum number of requests handed over between two reads of the completions: that many fit into
the pipe."""

logger = logging.getLogger("prefork")


class HandoffDispatcher(Dispatcher):
    """Knows how many requests each worker holds, and which workers have capacity for more.

    The next request goes to the worker that has waited longest or, with the idle order `lifo`, to
    the one that finished last. Workers report each request that they have served, so this is exact:
    no request waits behind another while a worker is idle, and the master takes no request before
    a worker has capacity.

    If a request cannot be passed to another process, the present run hands over no more requests:
    from then on, the master takes a request whenever a worker may be forked for it.
    """

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        self._server = server
        self._pool = pool
        self._forking = ForkDispatcher(pool)
        self._held: dict[int, int] = {}  # by pid
        self._max_held = 1
        self._available: OrderedDict[int, WorkerRecord] = OrderedDict()  # by pid
        self._unread = 0  # requests handed over since the completions were read
        self.completions = Completions()
        self.is_possible = True
        """Whether all requests of this run so far could be passed to another process."""

    def begin(self) -> None:
        self.is_possible = True

    def wants_listener(self, most: int) -> bool:
        return self.can_take_more() if self.is_possible else self._forking.wants_listener(most)

    def can_take_more(self) -> bool:
        return self._next_worker() is not None

    def place(self, request: Any, client_address: Any) -> bool:
        packed = self._server.pack(request, client_address)
        if packed is None or len(packed[0]) > MAX_BODY:
            self._note_impossible()
            return False
        message = Message(Kind.TAKE, *packed)
        placed = False
        passed_over = []
        while not placed and (record := self._next_worker()) is not None:
            del self._available[record.pid]
            placed = record.channel.send(message)
            if placed:
                self._held[record.pid] += 1
                self._unread += 1
                self._note_capacity(record)
            elif record.channel.broken:
                del self._held[record.pid]  # it is about to exit
            elif not self._held[record.pid]:
                passed_over.append(record)  # without a request, it sends no report
        for record in passed_over:
            self._note_capacity(record)
        return placed

    def note_ready(self, record: WorkerRecord) -> None:
        if record.persistent:
            threads = self._server.threads()
            self._max_held = (
                1 if threads is None else min(threads or MAX_IN_CHANNEL, MAX_IN_CHANNEL)
            )
            self._held[record.pid] = 0
            self._note_capacity(record)

    def note_leaving(self, record: WorkerRecord) -> None:
        if record.pid in self._held:
            self.forget(record)
            record.channel.send(Message(Kind.RETIRE))

    def fileno(self) -> int:
        # While one worker is available, it does not matter which others are.
        return -1 if self._available else self.completions.fileno()

    def read_completions(self) -> None:
        self._unread = 0
        held = self._held
        for (pid,) in self.completions.reports():
            if pid in held and (record := self._pool.by_pid(pid)) is not None:
                held[pid] -= 1
                self._note_capacity(record)
                if pid in self._available and self._is_lifo():
                    self._available.move_to_end(pid)

    def forget(self, record: WorkerRecord) -> None:
        self._available.pop(record.pid, None)
        self._held.pop(record.pid, None)

    def has_request_in_transit(self, record: WorkerRecord) -> bool:
        self.read_completions()
        return self._held.get(record.pid, 0) > 0

    def close(self) -> None:
        self.completions.close()

    def close_in_child(self) -> None:
        self.completions.close_in_child()

    def _next_worker(self) -> WorkerRecord | None:
        """Return the worker for the next request; drop workers that were retired since."""
        lifo, available = self._is_lifo(), self._available
        if lifo or not available or self._unread >= MAX_UNREAD:
            self.read_completions()
        while available:
            record = next(reversed(available.values()) if lifo else iter(available.values()))
            if record.state is WorkerState.SERVING:
                return record
            del available[record.pid]
        return None

    def _is_lifo(self) -> bool:
        return self._server.settings().idle_order == "lifo"

    def _note_capacity(self, record: WorkerRecord) -> None:
        if self._held[record.pid] < self._max_held:
            self._available[record.pid] = record

    def _note_impossible(self) -> None:
        if self.is_possible:
            self.is_possible = False
            logger.warning(
                "A request to this server cannot be passed to another process (for example, a TLS "
                "connection or a very long datagram). From now on, a worker is forked for each "
                "request, as with strategy 'fork'.",
                extra={"event": "requests_not_passable"},
            )
