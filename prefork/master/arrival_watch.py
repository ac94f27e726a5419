"""Tells the master of a request at listeners that it leaves alone."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable

from prefork.master.children import Children


class ArrivalWatch:
    """Rings once when there is a request, and has to be set again for the next one.

    Each time it is a new epoll: what the program has closed meanwhile is registered in the old one
    for as long as a worker holds it.
    """

    def __init__(self, children: Children, notify: Callable[[], None]) -> None:
        self._children = children
        self._notify = notify
        self._epoll: select.epoll | None = None

    def arm(self, listeners: Iterable[int]) -> None:
        """Ring when there is a request on any of these descriptors; also if there is one now.

        Errors: `OSError` when there are no more descriptors: it will not ring.
        """
        self.disarm()
        self._epoll = select.epoll()
        for fd in listeners:
            self._epoll.register(fd, select.EPOLLIN)
        self._children.watch(self._epoll.fileno(), self._note)

    def disarm(self) -> None:
        """Do not ring."""
        if self._epoll is not None:
            self._children.unwatch(self._epoll.fileno())
            self.close_in_child()

    def close_in_child(self) -> None:
        """In a forked child: drop what belongs to the master."""
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def _note(self) -> None:
        self.disarm()
        self._notify()
