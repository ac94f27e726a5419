"""Where a worker's next request comes from, and how it waits for it."""

from __future__ import annotations

import select
from typing import Any, Protocol

from prefork.workers.channel import Channel
from prefork.workers.room import Room
from prefork.workers.service import Service


class Source(Protocol):
    def take(self) -> tuple[Any, Any]:
        """A request that is waiting; `BlockingIOError` when there is none."""

    def wait(self, timeout: float | None, requests: bool = True) -> None:
        """Sleep until a request, an order, a finished thread, or `timeout` (seconds, `None` for
        ever). With `requests` false, leave waiting requests to the others."""


class SharedListener:
    """The listener that all workers share; the kernel wakes one of those that sleep.

    Registered with EPOLLEXCLUSIVE (epoll_ctl(2), Linux 4.5) a new connection wakes one worker, the
    first in line. A worker that goes back to sleep after serving stands at the end of the line
    again, since it registers anew: idle workers take turns. A busy pool finds the next request by
    trying and never comes here.
    """

    def __init__(self, service: Service, channel: Channel, room: Room | None) -> None:
        self.take = service.take
        self._listener = service.fileno()
        self._epoll = select.epoll()
        self._epoll.register(channel.fileno(), select.EPOLLIN)
        if room is not None:
            self._epoll.register(room.fileno(), select.EPOLLIN)
        self._room = room
        self._in_line = False

    def wait(self, timeout: float | None, requests: bool = True) -> None:
        if self._in_line:
            self._epoll.unregister(self._listener)
        if requests:
            self._epoll.register(self._listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self._in_line = requests
        self._epoll.poll(timeout)
        if self._room is not None:
            self._room.forget_departures()
