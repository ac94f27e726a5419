"""What a worker's loop needs from the source of its requests; used only in workers."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Message
from prefork.workers.server_in_worker import Taker

Serve = Callable[[Any, Any], None]


class Source(Protocol):
    """The source of requests: the worker's half of a strategy."""

    @property
    def take(self) -> Taker: ...

    @property
    def serve(self) -> Serve:
        """Serve a request that was taken from this source."""

    @property
    def at_once(self) -> bool:
        """Whether taking a request is immediate; a TLS handshake, for example, is not."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for a request, an order or a finished thread; return whether it is only a request.

        The wait takes at most `timeout` seconds (`None`: without limit).
        """

    def has_pending(self) -> bool:
        """Return whether a request is waiting now."""

    def wait_for_others(self, timeout: float | None) -> None:
        """Wait like `wait()`, but leave requests to the other workers."""

    def next_order(self) -> Message | None:
        """Return the next order from the master, `None` if the master has exited.

        Errors: `BlockingIOError` if no order has arrived.
        """

    def may_leave(self) -> bool:
        """Return whether a worker that has reached its limit may leave at once.

        If not, this asks the master for the order to retire.
        """

    def holds_some(self) -> bool:
        """Return whether this worker holds requests that no other process can serve."""

    def close_in_child(self) -> None:
        """Close the source's descriptors in a process forked from this worker."""


class WorkerPoller:
    """An epoll on what every worker waits for: orders in its channel, and finished threads."""

    def __init__(self, channel: Channel, in_flight: InFlight | None) -> None:
        self.epoll = select.epoll()
        self._in_flight = in_flight
        self.epoll.register(channel.fileno(), select.EPOLLIN)
        if in_flight is not None:
            self.epoll.register(in_flight.fileno(), select.EPOLLIN)

    def wait(self, timeout: float | None) -> None:
        """Wait at most `timeout` seconds (`None`: without limit) for an order or a finished
        thread."""
        self.epoll.poll(timeout)
        self.clear_finished()

    def close_in_child(self) -> None:
        """Close the epoll in a process forked from this worker."""
        self.epoll.close()

    def clear_finished(self) -> None:
        """Reset the notification of finished threads."""
        if self._in_flight is not None:
            self._in_flight.clear_finished()


class RoundRobin:
    """Checks listeners without waiting, and returns those with a request in turn."""

    def __init__(self, listeners: Iterable[int] = ()) -> None:
        self._poll = select.poll()
        self._queue: list[int] = []
        for fd in listeners:
            self.add(fd)

    def add(self, fd: int) -> None:
        self._poll.register(fd, select.POLLIN)
        self._queue.append(fd)

    def look(self) -> int:
        """Return the listener with a request that was returned longest ago; -1 if none has one."""
        ready = {fd for fd, _ in self._poll.poll(0)}
        for fd in self._queue:
            if fd in ready:
                self._queue.remove(fd)
                self._queue.append(fd)
                return fd
        return -1
