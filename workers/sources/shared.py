"""The listener that all workers share."""

from __future__ import annotations

import select
import time
from typing import Any

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel, Kind, Message
from prefork.workers.server_in_worker import ServerInWorker, Taker
from prefork.workers.sources.base import RoundRobin, Serve, WorkerPoller

MOST_UNASKED = 2_000_000
"""Nanoseconds for which a worker may take datagrams without a look at anything else."""

ASKS = 8
"""Times that a worker asks after a try that found nothing."""

_clock = time.monotonic_ns


class SharedListener:
    """The listener that all workers share; the kernel wakes one of those that sleep.

    Registered with EPOLLEXCLUSIVE (epoll_ctl(2), Linux 4.5) a new connection wakes one worker, the
    first in line. By registering anew a worker goes to the end of the line, so that idle workers
    take turns; it does so after `turns` waits. If it keeps its place (an infinite number), the
    first in line does what it can, and the others have rest.

    A worker asks epoll before it tries accept(2), even if it has reason to hope: an accept that
    finds nothing makes and frees a socket all the same, and costs five times the question.
    """

    def __init__(
        self, server: ServerInWorker, channel: Channel, in_flight: InFlight | None, turns: float
    ) -> None:
        listeners = [one for one in server.listeners() if one.fileno() >= 0]
        takers = [one.taker() for one in listeners]  # which may put other sockets in place
        self._takers: dict[int, Taker] = {
            one.fileno(): take for one, take in zip(listeners, takers, strict=True)
        }
        self.take: Taker = takers[0]
        self.serve: Serve = server.serve
        self.at_once = all(one.takes_at_once() for one in listeners)
        self.next_order = channel.receive
        self._poller = WorkerPoller(channel, in_flight)
        self._epoll = self._poller.epoll
        self._poll = self._epoll.poll
        self._round_robin = RoundRobin(self._takers)
        self._only_a_request = [(fd, select.EPOLLIN) for fd in self._takers]
        self._turns: float = 0
        self._turns_at_most = turns
        self._in_line = False

    def wait(self, timeout: float | None) -> bool:
        self._turns -= 1
        if self._turns < 0:
            self._join_line()
        if self._poll(timeout) == self._only_a_request:
            return True
        self._poller.clear_finished()
        return False

    def has_pending(self) -> bool:
        return self._round_robin.look() >= 0

    def wait_for_others(self, timeout: float | None) -> None:
        self._leave_line()
        self._poller.wait(timeout)

    def may_leave(self) -> bool:
        return True

    def holds_some(self) -> bool:
        return False

    def close_in_child(self) -> None:
        self._poller.close_in_child()

    def _join_line(self) -> None:
        self._leave_line()
        for fd in self._takers:
            self._epoll.register(fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self._in_line = True
        self._turns = self._turns_at_most

    def _leave_line(self) -> None:
        if self._in_line:
            for fd in self._takers:
                self._epoll.unregister(fd)
            self._in_line = False
        self._turns = 0


class SharedDatagrams(SharedListener):
    """The same where a try that finds nothing costs less than to ask, as with recvfrom(2).

    As long as tries succeed a worker does not ask, but for a look at its orders now and then.
    """

    def __init__(
        self, server: ServerInWorker, channel: Channel, in_flight: InFlight | None, turns: float
    ) -> None:
        super().__init__(server, channel, in_flight, turns)
        self._receive = self.take
        self.take = self._try
        self._to_ask = 0  # so many times before it tries again without asking
        self._ask_at = 0

    def wait(self, timeout: float | None) -> bool:
        if not self._to_ask and _clock() < self._ask_at:
            return True
        self._to_ask = max(0, self._to_ask - 1)
        self._ask_at = _clock() + MOST_UNASKED
        return super().wait(timeout)

    def _try(self) -> tuple[Any, Any]:
        try:
            return self._receive()
        except BlockingIOError:
            self._to_ask = ASKS
            raise


def say_taken(take: Taker, channel: Channel) -> Taker:
    """The same for a worker that serves a single request: it says when it has it."""

    def take_and_say() -> tuple[Any, Any]:
        request = take()
        channel.send(Message(Kind.TAKEN))
        return request

    return take_and_say
