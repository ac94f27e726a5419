"""What strategies differ in, and what most of them have in common.

A strategy says who takes a request and how it comes to a worker. It answers for the master (how
many workers stand ready, whether the master shall take requests, what becomes of those it took),
for the backlog (what is shared with the workers, what waits there, who is to empty it), and in each
worker (where its requests come from). Spawning, reaping, deadlines and limits are the same for all.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from typing import Any

from prefork.linux.listeners import NonBlockingListener
from prefork.master.server_view import ServerInMaster
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.channel import Kind, Message
from prefork.workers.server_in_worker import Listener, PassedFds
from prefork.workers.sources.base import Source


class Strategy:
    """One for each run of a pool. Here: no worker stands ready, the master takes every request."""

    workers_take = False
    """Whether workers take requests from the backlog themselves, to its end."""

    hands_over = False
    """Whether the master hands requests to workers that then do all that the server would."""

    requests_at_most: int | None = None
    """How many requests a worker that stands ready may serve; `None`: as the settings say."""

    has_siblings = False
    """Whether there are other listeners beside the server's, on the same port."""

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        self.server = server
        self.pool = pool
        self._non_blocking: dict[Listener, NonBlockingListener] = {}

    # -- for the master ----------------------------------------------------------------------

    def persistent(self, most: int) -> int:
        """How many workers to keep, of `most` allowed."""
        return 0

    def wants_listener(self, most: int) -> bool:
        """Whether the master shall take requests now; otherwise they wait in the backlog."""
        return len(self.pool) < most

    def can_take_more(self) -> bool:
        """Whether a worker stands ready for another request."""
        return False

    def place(self, request: Any, client_address: Any) -> bool:
        """Bring a request that the master took to a worker that stands ready.

        Returns whether there was one; if not, a worker is forked for it.
        """
        return False

    def ready(self, record: WorkerRecord) -> None:
        """Note that a worker is ready."""

    def hear(self, record: WorkerRecord, message: Message) -> None:
        """Note what a worker has said that only this strategy's workers say."""

    def fileno(self) -> int:
        """The descriptor by which workers can tell this strategy what it is waiting for, or -1."""
        return -1

    def listen(self) -> None:
        """Note what was said there."""

    def forget(self, record: WorkerRecord) -> None:
        """Note that a worker is gone."""

    def complete(self) -> None:
        """Note that no worker is missing that shall stand ready: all serve, or start."""

    def has_request_in_transit(self, record: WorkerRecord) -> bool:
        """Whether a request is on its way to a worker which does not show that yet."""
        return False

    # -- the backlog -------------------------------------------------------------------------

    def begin(self) -> None:
        """Another run of the pool begins."""

    def end(self) -> None:
        """The loop has ended: workers finish, and empty the backlog."""

    def open(self) -> None:
        """A worker that stands ready is going to be forked: prepare the listeners for the pool.

        From here on nobody waits in accept(2), for somebody else may be faster: another worker, or
        another program that holds the listener.

        Errors: `SettingsError` when the strategy is not for such a server; `OSError` when it has no
        listener any more.
        """
        listeners = [one for one in self.server.listeners() if one.fileno() >= 0]
        if not listeners:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        for one in listeners:
            non_blocking = self._non_blocking.get(one)
            if non_blocking is None or not non_blocking.is_of(one.fileno()):
                non_blocking = self._non_blocking[one] = NonBlockingListener(one.fileno())
            non_blocking.begin(one.fileno())

    @contextlib.contextmanager
    def passing_fds(self, slot: int) -> Iterator[PassedFds]:
        """What the worker that is forked now for `slot` is to keep when it lets go of the rest."""
        yield ()

    def restore_listeners(self) -> None:
        """No worker is left, and none is kept any more: put back what was changed for them."""
        for one, non_blocking in self._non_blocking.items():
            non_blocking.end(one.fileno())

    def close(self) -> None:
        """This is the end: let go of everything."""

    def close_in_child(self) -> None:
        """In a forked child: drop what belongs to the master."""

    def listening(self) -> Collection[int]:
        """The descriptors at which requests wait."""
        return [fd for one in self.server.listeners() if (fd := one.fileno()) >= 0]

    def has_pending(self) -> bool:
        """Whether there is a request now that only a worker can take."""
        return False

    def waiting_at_most(self) -> int:
        """How many such requests there can be now."""
        return 0

    def last_order(self, record: WorkerRecord) -> Message:
        """What a worker is told when the loop has ended."""
        return Message(Kind.RETIRE)

    # -- in a worker -------------------------------------------------------------------------

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        """Where a worker that stands ready finds its requests.

        Errors: `AssertionError`: here none does.
        """
        raise AssertionError("No worker stands ready under this strategy.")
