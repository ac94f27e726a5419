"""Wakes the master when a request arrives at a listener from which only workers take requests."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable

from prefork.master.children import Children


class ArrivalWatch:
    """Calls `notify()` once when a request arrives; it must be armed again for the next one.

    It creates a new epoll instance each time: a listener that the program has closed stays
    registered in the old one as long as a worker has it open.
    """

    def __init__(self, children: Children, notify: Callable[[], None]) -> None:
        self._children = children
        self._notify = notify
        self._epoll: select.epoll | None = None

    def arm(self, listeners: Iterable[int]) -> None:
        """Notify when a request arrives at any of these descriptors, or is already waiting there.

        Errors: `OSError` if no descriptor is left; then it does not notify.
        """
        self.disarm()
        self._epoll = select.epoll()
        for fd in listeners:
            self._epoll.register(fd, select.EPOLLIN)
        self._children.watch(self._epoll.fileno(), self._note)

    def disarm(self) -> None:
        """Stop watching; `notify()` is not called."""
        if self._epoll is not None:
            self._children.unwatch(self._epoll.fileno())
            self.close_in_child()

    def close_in_child(self) -> None:
        """Close the master's descriptor in a forked child."""
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def _note(self) -> None:
        self.disarm()
        self._notify()
