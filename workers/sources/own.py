"""Listeners that belong to one worker: its slot's, and those of slots without an occupant."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence

from prefork.workers.channel import Channel, Kind, Message
from prefork.workers.room import Room
from prefork.workers.service import Service, Taker
from prefork.workers.sources.base import Ears, Serve


class OwnListeners:
    """Several listeners, of which the service has one at a time under its own descriptor."""

    def __init__(
        self, service: Service, channel: Channel, room: Room | None, listeners: Sequence[int]
    ) -> None:
        self._service = service
        self._channel = channel
        self._ears = Ears(channel, room)
        self._poll = self._ears.epoll.poll
        self._others = Ears(channel, room)
        self._glance = select.poll()
        self._listeners: set[int] = set()
        for fd in listeners:
            # The service's own descriptor will stand for one after the other: it needs a twin.
            self._listen(os.dup(fd) if fd == service.fileno() else fd)
        self._current = -1
        self._turn_to(min(self._listeners))
        self.take: Taker = service.taker()
        self.serve: Serve = service.serve
        self.at_once = service.takes_at_once()

    def wait(self, timeout: float | None) -> bool:
        events = self._poll(timeout)
        if events == self._only_current:
            return True
        self._ears.forget_departures()
        ready = [fd for fd, _ in events]
        if not ready or not self._listeners.issuperset(ready):
            return False
        self._turn_to(ready[0])
        return True

    def something_waits(self) -> bool:
        ready = [fd for fd, _ in self._glance.poll(0)]
        if ready and self._current not in ready:
            self._turn_to(ready[0])
        return bool(ready)

    def wait_for_others(self, timeout: float | None) -> None:
        self._others.wait(timeout)

    def next_order(self) -> Message | None:
        message = self._channel.receive()
        while message is not None and message.kind is Kind.ADOPT and message.fd is not None:
            self._listen(message.fd)
            message = self._channel.receive()
        return message

    def may_leave(self) -> bool:
        return True

    def holds_some(self) -> bool:
        return False

    def let_go(self) -> None:
        self._ears.let_go()
        self._others.let_go()
        for fd in self._listeners:
            os.close(fd)

    def _listen(self, fd: int) -> None:
        self._listeners.add(fd)
        self._ears.epoll.register(fd, select.EPOLLIN)
        self._glance.register(fd, select.POLLIN)

    def _turn_to(self, fd: int) -> None:
        if fd != self._current:
            self._service.take_from(fd)
            self._current = fd
            self._only_current = [(fd, select.EPOLLIN)]
