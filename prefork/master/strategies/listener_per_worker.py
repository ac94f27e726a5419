"""The listeners of strategy `reuseport`: one for each worker, all of them on one port."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from collections.abc import Collection, Iterator

from prefork.linux.listening_sockets import (
    has_pending,
    send_clients_to_first,
    sibling,
    spread_clients,
)
from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies.listeners import SharedListeners
from prefork.readings.backlog import waiting_at_most
from prefork.settings import SettingsError
from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerTable
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.server_in_worker import PassedFds

Place = tuple[int, int]
"""The place of a listener: a slot, and the index of the server's listener whose sibling it is."""


class OneListenerAWorker:
    """Slot 0 has the server's own listener, and each other slot a sibling of it.

    In a group, this is so for each member's listener. The master holds all listeners as long as
    there are workers: if a worker dies, the clients at its listener wait for its replacement. If a
    slot no longer gets a worker, its listener is passed to a worker that serves, since the kernel
    continues to send clients there.
    """

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        self._server = server
        self._pool = pool
        self._own = SharedListeners(server)
        self._siblings: dict[Place, socket.socket] = {}  # of slots >= 1
        self._adopted_by: dict[Place, int] = {}  # slot of the worker
        self._ended = False

    def begin(self) -> None:
        self._ended = False
        self.open()
        for one in self._server.listeners():
            spread_clients(one.fileno())

    def open(self) -> None:
        if self._ended:
            return
        for index in self._own.replaced():
            self._close_siblings(index)
        self._own.open()
        for index, one in enumerate(self._server.listeners()):
            for slot in range(1, self._server.max_children()):
                if (slot, index) in self._siblings or one.fileno() < 0:
                    continue
                try:
                    self._siblings[slot, index] = sibling(one.fileno(), one.backlog())
                except OSError as error:
                    raise SettingsError(
                        "Cannot open another listener on this address: "
                        f"{os.strerror(error.errno or 0)}. Strategy 'reuseport' needs a TCP or UDP "
                        "port and must be set before the server is bound."
                    ) from error

    @contextlib.contextmanager
    def passing_fds(self, slot: int) -> Iterator[PassedFds]:
        """Pass the slot's listeners and those it has adopted; after the loop, pass all of them."""
        listeners = self._all()
        if not self._ended:
            for place in listeners:
                if place[0] == slot:
                    self._adopted_by.pop(place, None)
            adopted = {place for place, keeper in self._adopted_by.items() if keeper == slot}
            listeners = {p: fd for p, fd in listeners.items() if p[0] == slot or p in adopted}
        # The child closes the siblings that are in this dictionary.
        passed = {p: self._siblings.pop(p) for p in listeners if p in self._siblings}
        try:
            yield tuple((index, fd) for (_, index), fd in listeners.items())
        finally:
            self._siblings.update(passed)

    def note_complete(self) -> None:
        """Pass the listeners of empty slots to workers that serve."""
        present = {r.slot: r for r in self._pool.persistent()}
        keepers = {slot: r for slot, r in present.items() if r.state is WorkerState.SERVING}
        for place, fd in self._all().items():
            slot, index = place
            if keepers and slot not in present and self._adopted_by.get(place) not in present:
                load = Counter(self._adopted_by.values())
                keeper = min(keepers, key=lambda s: load[s])
                if keepers[keeper].channel.send(Message(Kind.ADD_LISTENER, b"%d" % index, fd)):
                    self._adopted_by[place] = keeper

    def end(self) -> None:
        self._ended = True

    def restore(self) -> None:
        # New clients go to the server's own listener. A sibling without a waiting client can be
        # closed without harm; for the others, workers are started again.
        if self._siblings:
            for one in self._server.listeners():
                send_clients_to_first(one.fileno())
        for place, other in list(self._siblings.items()):
            if not has_pending([other.fileno()]):
                self._siblings.pop(place).close()
        self._adopted_by.clear()
        self._own.restore()

    def close(self) -> None:
        self.restore()
        self.close_in_child()

    def close_in_child(self) -> None:
        for other in self._siblings.values():
            other.close()
        self._siblings.clear()
        self._adopted_by.clear()

    def fds(self) -> Collection[int]:
        return self._all().values()

    def has_pending(self) -> bool:
        return has_pending(self.fds())

    def waiting_at_most(self) -> int:
        backlogs = [one.backlog() for one in self._server.listeners()]
        listeners = self._all().items()
        return sum(waiting_at_most(fd, backlogs[index]) for (_, index), fd in listeners)

    def _all(self) -> dict[Place, int]:
        """Return the descriptors of all open listeners, by their places."""
        own = enumerate(one.fileno() for one in self._server.listeners())
        firsts = {(0, index): fd for index, fd in own if fd >= 0}
        siblings = dict(self._siblings)  # a copy: `prefork_reading()` may run in another thread
        return firsts | {place: sock.fileno() for place, sock in siblings.items()}

    def _close_siblings(self, index: int) -> None:
        """Close the siblings of a listener that the server has closed or replaced."""
        for place in [place for place in self._siblings if place[1] == index]:
            self._siblings.pop(place).close()
            self._adopted_by.pop(place, None)
