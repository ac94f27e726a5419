"""The server's own listeners, which all workers share, and the interface of listeners."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from prefork.linux.listening_sockets import NonBlockingListener, has_pending
from prefork.master.server_in_master import ServerInMaster
from prefork.readings.backlog import waiting_at_most
from prefork.workers.server_in_worker import Listener, PassedFds


class Listeners(Protocol):
    """The listeners of a pool, in the master."""

    def begin(self) -> None:
        """Note that the loop begins.

        Errors: those of `open()`.
        """

    def open(self) -> None:
        """Prepare the listeners, before a persistent worker is forked.

        From here on, no process may block in accept(2): another worker, or another program that has
        the listener open, may take the connection first.

        Errors: `SettingsError` if the strategy does not work for this server; `OSError` if the
        server has no open listener.
        """

    def passing_fds(self, slot: int) -> AbstractContextManager[PassedFds]:
        """Yield the listeners to pass to the worker that is forked for `slot` in this context.

        Empty if the worker uses the server's own listeners.
        """

    def note_complete(self) -> None:
        """Note that no persistent worker is missing: all are serving or starting."""

    def end(self) -> None:
        """Note that the loop has ended; workers empty the backlog."""

    def restore(self) -> None:
        """Undo the changes of `open()`; no worker is left."""

    def close(self) -> None:
        """Close all listeners except the server's own; no worker is left."""

    def close_in_child(self) -> None:
        """Close all listeners except the server's own in a forked child."""

    def fds(self) -> Collection[int]:
        """Return the descriptors of all open listeners."""

    def has_pending(self) -> bool:
        """Whether a request is waiting now."""

    def waiting_at_most(self) -> int:
        """Return the maximum number of requests that may be waiting now."""


class SharedListeners:
    """The server's own listeners, which are non-blocking as long as there are workers."""

    def __init__(self, server: ServerInMaster) -> None:
        self._server = server
        self._non_blocking: dict[Listener, NonBlockingListener] = {}

    def begin(self) -> None: ...

    def open(self) -> None:
        listeners = [one for one in self._server.listeners() if one.fileno() >= 0]
        if not listeners:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        for one in listeners:
            non_blocking = self._non_blocking.get(one)
            if non_blocking is None or not non_blocking.is_of(one.fileno()):
                non_blocking = self._non_blocking[one] = NonBlockingListener(one.fileno())
            non_blocking.begin(one.fileno())

    def replaced(self) -> list[int]:
        """Return the indices of listeners that were closed or replaced since `open()`."""
        known = self._non_blocking
        return [
            index
            for index, one in enumerate(self._server.listeners())
            if one in known and not known[one].is_of(one.fileno())
        ]

    def passing_fds(self, slot: int) -> AbstractContextManager[PassedFds]:
        return nullcontext(())

    def note_complete(self) -> None: ...

    def end(self) -> None: ...

    def restore(self) -> None:
        for one, non_blocking in self._non_blocking.items():
            non_blocking.end(one.fileno())

    def close(self) -> None: ...

    def close_in_child(self) -> None: ...

    def fds(self) -> Collection[int]:
        return [fd for one in self._server.listeners() if (fd := one.fileno()) >= 0]

    def has_pending(self) -> bool:
        return has_pending(self.fds())

    def waiting_at_most(self) -> int:
        return sum(waiting_at_most(one.fileno(), one.backlog()) for one in self._server.listeners())
