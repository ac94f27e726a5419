"""Requests from the listener that all workers share."""

from __future__ import annotations

import select
import time
from typing import Any

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.server_in_worker import ServerInWorker, Taker
from prefork.workers.sources.base import RoundRobin, Serve, WorkerPoller

MAX_UNASKED = 2_000_000
"""Nanoseconds for which a worker may take datagrams without asking epoll for orders."""

ASKS = 8
"""The number of waits in which a worker asks epoll first, after a try that found nothing."""

_clock = time.monotonic_ns


class SharedSource:
    """Takes requests from a listener that all workers share; the kernel wakes one of those that
    wait.

    The listener is registered with EPOLLEXCLUSIVE (epoll_ctl(2), Linux 4.5), so a new connection
    wakes only the first worker in the kernel's queue. A worker moves to the end of the queue by
    registering again, which it does after `requeue_after` waits, so that idle workers take turns.
    If that number is infinite, it keeps its place: the first worker in the queue serves what it
    can, and the others stay idle.

    A worker asks epoll before it tries accept(2), even when a request is likely: an accept(2) that
    finds nothing still allocates and frees a socket, and costs five times as much as epoll.
    """

    def __init__(
        self,
        server: ServerInWorker,
        channel: Channel,
        in_flight: InFlight | None,
        requeue_after: float,
    ) -> None:
        listeners = [one for one in server.listeners() if one.fileno() >= 0]
        takers = [one.taker() for one in listeners]  # may replace sockets: before fileno()
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
        self._waits_left: float = 0
        self._requeue_after = requeue_after
        self._in_queue = False

    def wait(self, timeout: float | None) -> bool:
        self._waits_left -= 1
        if self._waits_left < 0:
            self._join_queue()
        if self._poll(timeout) == self._only_a_request:
            return True
        self._poller.clear_finished()
        return False

    def has_pending(self) -> bool:
        return self._round_robin.look() >= 0

    def wait_for_others(self, timeout: float | None) -> None:
        self._leave_queue()
        self._poller.wait(timeout)

    def may_leave(self) -> bool:
        return True

    def holds_some(self) -> bool:
        return False

    def close_in_child(self) -> None:
        self._poller.close_in_child()

    def _join_queue(self) -> None:
        self._leave_queue()
        for fd in self._takers:
            self._epoll.register(fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self._in_queue = True
        self._waits_left = self._requeue_after

    def _leave_queue(self) -> None:
        if self._in_queue:
            for fd in self._takers:
                self._epoll.unregister(fd)
            self._in_queue = False
        self._waits_left = 0


class SharedDatagramSource(SharedSource):
    """Like `SharedSource`, if a try that finds nothing costs less than epoll, as recvfrom(2) does.

    While tries succeed, a worker asks epoll only every 2 ms, for its orders.
    """

    def __init__(
        self,
        server: ServerInWorker,
        channel: Channel,
        in_flight: InFlight | None,
        requeue_after: float,
    ) -> None:
        super().__init__(server, channel, in_flight, requeue_after)
        self._receive = self.take
        self.take = self._try
        self._asks_left = 0  # the number of waits before it tries again without asking
        self._ask_at = 0

    def wait(self, timeout: float | None) -> bool:
        if not self._asks_left and _clock() < self._ask_at:
            return True
        self._asks_left = max(0, self._asks_left - 1)
        self._ask_at = _clock() + MAX_UNASKED
        return super().wait(timeout)

    def _try(self) -> tuple[Any, Any]:
        try:
            return self._receive()
        except BlockingIOError:
            self._asks_left = ASKS
            raise


def report_taken(take: Taker, channel: Channel) -> Taker:
    """Return a taker that also reports to the master, for a worker that serves one request."""

    def take_and_report() -> tuple[Any, Any]:
        request = take()
        channel.send(Message(Kind.TAKEN))
        return request

    return take_and_report
