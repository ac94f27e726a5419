"""`reuseport`: a listener for each slot, on one port; the kernel spreads the clients over them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from collections.abc import Iterator

from prefork.host import Host
from prefork.lifecycle import WorkerState
from prefork.listener import (
    send_clients_to_first,
    sibling,
    something_waits,
    spread_clients,
    waiting_at_most,
)
from prefork.pool import Pool, WorkerRecord
from prefork.settings import SettingsError
from prefork.strategies.accept import Accept
from prefork.strategies.base import Lent
from prefork.workers.channel import Kind, Message
from prefork.workers.main import Assignment
from prefork.workers.room import Room
from prefork.workers.sources.base import Source
from prefork.workers.sources.own import OwnListeners


class Reuseport(Accept):
    """Slot 0 has the server's listener, each other one a sibling of it.

    The master holds them all for as long as there are workers: who waits at the listener of a
    worker that dies waits for its replacement. A slot that gets no occupant any more leaves its
    listener to a worker that lives, for the kernel goes on sending clients there.
    """

    has_siblings = True

    def __init__(self, host: Host, pool: Pool) -> None:
        super().__init__(host, pool)
        self._siblings: dict[int, socket.socket] = {}  # by slot, from 1
        self._adopted_by: dict[int, int] = {}  # slot of the listener: slot of the worker
        self._ended = False

    def ready(self, record: WorkerRecord) -> None:
        self._place_orphans()

    def forget(self, record: WorkerRecord) -> None:
        self._place_orphans()

    def begin(self) -> None:
        self._ended = False
        self.open()
        spread_clients(self.host.fileno())

    def end(self) -> None:
        self._ended = True

    def open(self) -> None:
        if self._ended:
            return
        fd = self.host.fileno()
        if self._sharing is not None and not self._sharing.is_of(fd):
            self.close()  # the siblings of a socket that the program has replaced
        super().open()
        for slot in range(1, self.host.max_children()):
            if slot in self._siblings:
                continue
            try:
                self._siblings[slot] = sibling(fd, self.host.backlog())
            except OSError as error:
                raise SettingsError(
                    "The strategy reuseport needs a TCP or UDP port, bound when it was chosen "
                    "already; on this address there is no second listener to be had: "
                    f"{os.strerror(error.errno or 0)}."
                ) from error

    def rest(self) -> None:
        # Who comes now goes to the server's listener. Where somebody waits there will be a worker
        # again; the other siblings can be closed without anybody noticing.
        if self._siblings:
            send_clients_to_first(self.host.fileno())
        for slot, other in list(self._siblings.items()):
            if not something_waits(other.fileno()):
                self._siblings.pop(slot).close()
        super().rest()

    def close(self) -> None:
        self.rest()
        self.let_go()

    def let_go(self) -> None:
        for other in self._siblings.values():
            other.close()
        self._siblings.clear()
        self._adopted_by.clear()

    @contextlib.contextmanager
    def lending(self, slot: int) -> Iterator[Lent]:
        """Its own listener and those it inherits; at the end of the pool all that there are."""
        listeners = self._listeners()
        if not self._ended:
            self._adopted_by.pop(slot, None)
            heirs = (s for s, keeper in self._adopted_by.items() if keeper == slot)
            listeners = {s: listeners[s] for s in (slot, *heirs)}
        # The child lets go of what is not lent.
        lent = {s: self._siblings.pop(s) for s in listeners if s in self._siblings}
        try:
            yield tuple(listeners.values())
        finally:
            self._siblings.update(lent)

    def something_waits(self) -> bool:
        return any(something_waits(fd) for fd in self._listeners().values())

    def waiting_at_most(self) -> int:
        backlog = self.host.backlog()
        return sum(waiting_at_most(fd, backlog) for fd in self._listeners().values())

    def source(self, given: Assignment, room: Room | None, lent: Lent) -> Source:
        return OwnListeners(self.host, given.channel, room, lent)

    def _listeners(self) -> dict[int, int]:
        """The descriptor of each slot's listener."""
        return {0: self.host.fileno()} | {s: sock.fileno() for s, sock in self._siblings.items()}

    def _place_orphans(self) -> None:
        """Give the listeners of slots that stay empty to workers that live."""
        most = self.host.max_children()
        if self._ended or self.pool.missing(most, most):
            return
        keepers = {r.slot: r for r in self.pool if r.standing and r.state is WorkerState.SERVING}
        for slot, fd in self._listeners().items():
            if keepers and slot not in keepers and self._adopted_by.get(slot) not in keepers:
                load = Counter(self._adopted_by.values())
                keeper = min(keepers, key=lambda s: load[s])
                if keepers[keeper].channel.send(Message(Kind.ADOPT, fd=fd)):
                    self._adopted_by[slot] = keeper
