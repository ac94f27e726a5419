"""Several listeners that all workers share: those of a group of servers."""

from __future__ import annotations

from typing import Any

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.server_in_worker import ServerInWorker
from prefork.workers.sources.shared import SharedListener


class SharedListeners(SharedListener):
    """The same for several: a worker stands in the line of each of them.

    It asks for one event at a time. Then the kernel goes round all that are ready (epoll_wait(2)),
    so that a flooded listener keeps nobody waiting at another; and a worker that was woken takes
    the request that it was woken for. If it took another, the one that was woken for that would
    find nothing, and this one would wait although somebody is idle.
    """

    def __init__(
        self, server: ServerInWorker, channel: Channel, in_flight: InFlight | None, turns: float
    ) -> None:
        super().__init__(server, channel, in_flight, turns)
        self.take = self._take_chosen
        self._chosen = -1

    def wait(self, timeout: float | None) -> bool:
        self._turns -= 1
        if self._turns < 0:
            self._join_line()
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
