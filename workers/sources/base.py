"""What a worker's loop asks of the place where its requests come from."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel, Message
from prefork.workers.server_in_worker import Taker

Serve = Callable[[Any, Any], None]


class Source(Protocol):
    """Where requests come from: the worker's half of a strategy."""

    @property
    def take(self) -> Taker: ...

    @property
    def serve(self) -> Serve:
        """Has a request served that was taken here."""

    @property
    def at_once(self) -> bool:
        """Whether taking is over at once; otherwise it may last (a TLS handshake)."""

    def wait(self, timeout: float | None) -> bool:
        """Sleep until a request, an order, a finished thread, or `timeout` (seconds, `None` for
        ever); whether it is a request and nothing else."""

    def has_pending(self) -> bool:
        """Whether there is a request now."""

    def wait_for_others(self, timeout: float | None) -> None:
        """Sleep as in `wait()`, while requests are left to the other workers."""

    def next_order(self) -> Message | None:
        """What the master has to say, `None` when it is gone.

        Errors: `BlockingIOError` when there is nothing for now.
        """

    def may_leave(self) -> bool:
        """Whether a worker that has reached its limit may leave at once; otherwise it has asked
        for the order to retire."""

    def holds_some(self) -> bool:
        """Whether there are requests which nobody else can serve."""

    def close_in_child(self) -> None:
        """In a process forked from this worker: drop whatever requests came by."""


class WorkerPoller:
    """What every worker listens to: its master, and its own threads."""

    def __init__(self, channel: Channel, in_flight: InFlight | None) -> None:
        self.epoll = select.epoll()
        self._in_flight = in_flight
        self.epoll.register(channel.fileno(), select.EPOLLIN)
        if in_flight is not None:
            self.epoll.register(in_flight.fileno(), select.EPOLLIN)

    def wait(self, timeout: float | None) -> None:
        """Sleep until there is something to hear, at most `timeout` seconds (`None` for ever)."""
        self.epoll.poll(timeout)
        self.clear_finished()

    def close_in_child(self) -> None:
        """In a process forked from this worker: listen no more."""
        self.epoll.close()

    def clear_finished(self) -> None:
        """Threads have finished: that was heard."""
        if self._in_flight is not None:
            self._in_flight.clear_finished()


class RoundRobin:
    """A look at listeners without waiting; those that have a request take turns."""

    def __init__(self, listeners: Iterable[int] = ()) -> None:
        self._poll = select.poll()
        self._line: list[int] = []
        for fd in listeners:
            self.add(fd)

    def add(self, fd: int) -> None:
        self._poll.register(fd, select.POLLIN)
        self._line.append(fd)

    def look(self) -> int:
        """The listener whose last turn is longest ago, of those with a request; -1 if none has."""
        ready = {fd for fd, _ in self._poll.poll(0)}
        for fd in self._line:
            if fd in ready:
                self._line.remove(fd)
                self._line.append(fd)
                return fd
        return -1
