"""Requests from the listeners of one worker: its slot's, and those of slots without a worker."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from typing import Any

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.server_in_worker import ServerInWorker, Taker
from prefork.workers.sources.base import RoundRobin, Serve, WorkerPoller


class ReuseportSource:
    """Takes requests from one or more siblings of each listener of the server.

    The server's own descriptor refers to one of them at a time.

    `listeners` are pairs: the index of the server's listener that it is a sibling of, and a
    descriptor. Each wait asks for one event: the kernel then rotates among the listeners that have
    a request (epoll_wait(2)).
    """

    def __init__(
        self,
        server: ServerInWorker,
        channel: Channel,
        in_flight: InFlight | None,
        listeners: Sequence[tuple[int, int]],
    ) -> None:
        self._places = server.listeners()
        self._channel = channel
        self._poller = WorkerPoller(channel, in_flight)
        self._poll = self._poller.epoll.poll
        self._others = WorkerPoller(channel, in_flight)
        self._round_robin = RoundRobin()
        self._like: dict[int, int] = {}
        for number, fd in listeners:
            # The server's own descriptor will refer to each of them in turn: duplicate this one.
            self._listen(number, os.dup(fd) if fd == self._places[number].fileno() else fd)
        self._in_place: dict[int, int] = {}
        self._takers: dict[int, Taker] = {}
        for fd, number in sorted(self._like.items()):
            if number not in self._takers:
                self._put_in_place(number, fd)
                self._takers[number] = self._places[number].taker()
        self._current = -1
        self._turn_to(min(self._like))
        self.take: Taker = self._take_in_turn if len(self._takers) > 1 else self._take_it
        self.serve: Serve = server.serve
        self.at_once = all(self._places[number].takes_at_once() for number in self._takers)

    def wait(self, timeout: float | None) -> bool:
        events = self._poll(timeout, 1)
        if events == self._only_current:
            return True
        for fd, _ in events:
            if fd in self._like:
                self._turn_to(fd)
                return True
        self._poller.clear_finished()
        return False

    def has_pending(self) -> bool:
        fd = self._round_robin.look()
        if fd < 0:
            return False
        self._turn_to(fd)
        return True

    def wait_for_others(self, timeout: float | None) -> None:
        self._others.wait(timeout)

    def next_order(self) -> Message | None:
        message = self._channel.receive()
        while message is not None and message.kind is Kind.ADD_LISTENER and message.fd is not None:
            self._listen(int(message.body), message.fd)
            message = self._channel.receive()
        return message

    def may_leave(self) -> bool:
        return True

    def holds_some(self) -> bool:
        return False

    def close_in_child(self) -> None:
        self._poller.close_in_child()
        self._others.close_in_child()
        for fd in self._like:
            os.close(fd)

    def _listen(self, number: int, fd: int) -> None:
        self._like[fd] = number
        self._poller.epoll.register(fd, select.EPOLLIN)
        self._round_robin.add(fd)

    def _turn_to(self, fd: int) -> None:
        if fd == self._current:
            return
        number = self._like[fd]
        if self._in_place[number] != fd:
            self._put_in_place(number, fd)
        self._current = fd
        self._only_current = [(fd, select.EPOLLIN)]
        self._take_it = self._takers[number]

    def _put_in_place(self, number: int, fd: int) -> None:
        self._places[number].take_from(fd)
        self._in_place[number] = fd

    def _take_in_turn(self) -> tuple[Any, Any]:
        return self._take_it()
