"""Requests from several listeners that all workers share: those of a group of servers."""

from __future__ import annotations

from typing import Any

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.server_in_worker import ServerInWorker
from prefork.workers.sources.shared import SharedSource


class SharedGroupSource(SharedSource):
    """Takes requests from several shared listeners; a worker is in the kernel's queue of each.

    It asks for one event per wait. The kernel then rotates among the ready listeners
    (epoll_wait(2)), so that a flooded listener does not delay clients of another, and a worker
    takes the request that it was woken for. If it took another request, the worker that was woken
    for that one would find nothing, and the first request would wait although a worker is idle.
    """

    def __init__(
        self,
        server: ServerInWorker,
        channel: Channel,
        in_flight: InFlight | None,
        requeue_after: float,
    ) -> None:
        super().__init__(server, channel, in_flight, requeue_after)
        self.take = self._take_chosen
        self._chosen = -1

    def wait(self, timeout: float | None) -> bool:
        self._waits_left -= 1
        if self._waits_left < 0:
            self._join_queue()
        for fd, _ in self._poll(timeout, 1):
            if fd in self._takers:
                self._chosen = fd
                return True
        self._poller.clear_finished()
        return False

    def has_pending(self) -> bool:
        self._chosen = self._round_robin.look()
        return self._chosen >= 0

    def _take_chosen(self) -> tuple[Any, Any]:
        return self._takers[self._chosen]()
