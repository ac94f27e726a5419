"""The listener that all workers share."""

from __future__ import annotations

import math
import select
from typing import Any

from prefork.workers.channel import Channel, Kind, Message
from prefork.workers.room import Room
from prefork.workers.service import Service, Taker
from prefork.workers.sources.base import Ears, Order, Serve

TURNS = 8
"""Waits after which a worker goes to the end of the line."""


class SharedListener:
    """The listener that all workers share; the kernel wakes one of those that sleep.

    Registered with EPOLLEXCLUSIVE (epoll_ctl(2), Linux 4.5) a new connection wakes one worker, the
    first in line. By registering anew a worker goes to the end of the line, so that idle workers
    take turns (`fair`); every few waits are enough for that. If it keeps its place (`hot`), the
    first in line does what it can, and the others have rest.

    A worker asks epoll before it tries accept(2), even if it has reason to hope: an accept that
    finds nothing makes and frees a socket all the same, and costs five times the question.
    """

    def __init__(
        self, service: Service, channel: Channel, room: Room | None, order: Order = "fair"
    ) -> None:
        self.take: Taker = service.taker()
        self.serve: Serve = service.serve
        self.at_once = service.takes_at_once()
        self.next_order = channel.receive
        self._listener = service.fileno()
        self._ears = Ears(channel, room)
        self._epoll = self._ears.epoll
        self._poll = self._epoll.poll
        self._glance = select.poll()
        self._glance.register(self._listener, select.POLLIN)
        self._only_a_request = [(self._listener, select.EPOLLIN)]
        self._turns: float = 0
        self._turns_at_most = TURNS if order == "fair" else math.inf
        self._in_line = False

    def wait(self, timeout: float | None) -> bool:
        self._turns -= 1
        if self._turns < 0:
            self._join_line()
        if self._poll(timeout) == self._only_a_request:
            return True
        self._ears.forget_departures()
        return False

    def something_waits(self) -> bool:
        return bool(self._glance.poll(0))

    def wait_for_others(self, timeout: float | None) -> None:
        self._leave_line()
        self._ears.wait(timeout)

    def may_leave(self) -> bool:
        return True

    def holds_some(self) -> bool:
        return False

    def let_go(self) -> None:
        self._ears.let_go()

    def _join_line(self) -> None:
        self._leave_line()
        self._epoll.register(self._listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self._in_line = True
        self._turns = self._turns_at_most

    def _leave_line(self) -> None:
        if self._in_line:
            self._epoll.unregister(self._listener)
            self._in_line = False
        self._turns = 0


class OneRequest(SharedListener):
    """The same for a worker that serves a single request, and says when it has it."""

    def __init__(self, service: Service, channel: Channel, room: Room | None) -> None:
        super().__init__(service, channel, room)

        def take() -> tuple[Any, Any]:
            request = take_it()
            channel.send(Message(Kind.TAKEN))
            return request

        take_it = self.take
        self.take = take
