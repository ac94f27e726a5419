"""Where a worker's next request comes from, and how it waits for it."""

from __future__ import annotations

import select
from typing import Protocol

from prefork.workers.channel import Channel
from prefork.workers.room import Room
from prefork.workers.service import Service, Taker

TURNS = 8
"""Waits after which a worker goes to the end of the line."""


class Source(Protocol):
    take: Taker

    def wait(self, timeout: float | None) -> bool:
        """Sleep until a request, an order, a finished thread, or `timeout` (seconds, `None` for
        ever); whether it is a request and nothing else."""

    def something_waits(self) -> bool:
        """Whether there is a request now."""

    def wait_for_others(self, timeout: float | None) -> None:
        """Sleep as in `wait()`, while requests are left to the other workers."""


class SharedListener:
    """The listener that all workers share; the kernel wakes one of those that sleep.

    Registered with EPOLLEXCLUSIVE (epoll_ctl(2), Linux 4.5) a new connection wakes one worker, the
    first in line. By registering anew a worker goes to the end of the line, so that idle workers
    take turns; every few waits are enough for that.

    A worker asks epoll before it tries accept(2), even if it has reason to hope: an accept that
    finds nothing makes and frees a socket all the same, and costs five times the question.
    """

    def __init__(self, service: Service, channel: Channel, room: Room | None) -> None:
        self.take: Taker = service.taker()
        self._room = room
        self._listener = service.fileno()
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._epoll.register(channel.fileno(), select.EPOLLIN)
        if room is not None:
            self._epoll.register(room.fileno(), select.EPOLLIN)
        self._glance = select.poll()
        self._glance.register(self._listener, select.POLLIN)
        self._only_a_request = [(self._listener, select.EPOLLIN)]
        self._turns = 0
        self._in_line = False

    def wait(self, timeout: float | None) -> bool:
        self._turns -= 1
        if self._turns < 0:
            self._join_line()
        if self._poll(timeout) == self._only_a_request:
            return True
        if self._room is not None:
            self._room.forget_departures()
        return False

    def something_waits(self) -> bool:
        return bool(self._glance.poll(0))

    def wait_for_others(self, timeout: float | None) -> None:
        self._leave_line()
        self._poll(timeout)
        if self._room is not None:
            self._room.forget_departures()

    def _join_line(self) -> None:
        self._leave_line()
        self._epoll.register(self._listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self._in_line = True
        self._turns = TURNS

    def _leave_line(self) -> None:
        if self._in_line:
            self._epoll.unregister(self._listener)
            self._in_line = False
        self._turns = 0
