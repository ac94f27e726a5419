"""Wakes the master when a request arrives at listeners from which it takes none itself."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable

from prefork.master.children import Children


class ArrivalWatch:
    """Calls `notify()` once when there is a request; it is armed again for the next one.

    Each time it makes a new epoll: a listener that the program has closed stays registered in the
    old one for as long as a worker has it open.
    """

    def __init__(self, children: Children, notify: Callable[[], None]) -> None:
        self._children = children
        self._notify = notify
        self._epoll: select.epoll | None = None

    def arm(self, listeners: Iterable[int]) -> None:
        """Notify of a request on any of these descriptors, also of one that waits now.

        Errors: `OSError` when no descriptor is left; then it does not notify.
        """
        self.disarm()
        self._epoll = select.epoll()
        for fd in listeners:
            self._epoll.register(fd, select.EPOLLIN)
        self._children.watch(self._epoll.fileno(), self._note)

    def disarm(self) -> None:
        """Do not notify."""
        if self._epoll is not None:
            self._children.unwatch(self._epoll.fileno())
            self.close_in_child()

    def close_in_child(self) -> None:
        """In a forked child: close the master's descriptor."""
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def _note(self) -> None:
        self.disarm()
        self._notify()
