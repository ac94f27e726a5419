"""`reuseport`: a listener for each slot, on one port; the kernel spreads the clients over them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from collections.abc import Collection, Iterator

from prefork.linux.listeners import (
    has_pending,
    send_clients_to_first,
    sibling,
    spread_clients,
)
from prefork.master.server_view import ServerInMaster
from prefork.master.strategies.accept import Accept
from prefork.readings.backlog import waiting_at_most
from prefork.settings import SettingsError
from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerTable
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerContext
from prefork.workers.protocol.channel import Kind, Message
from prefork.workers.server_in_worker import PassedFds
from prefork.workers.sources.base import Source
from prefork.workers.sources.reuseport import ReuseportSource

Place = tuple[int, int]
"""Where a listener belongs: a slot, and the number of the server's listener that it is like."""


class Reuseport(Accept):
    """Slot 0 has the server's listener, each other one a sibling of it; of each, in a group.

    The master holds them all for as long as there are workers: who waits at the listener of a
    worker that dies waits for its replacement. A slot that gets no occupant any more leaves its
    listener to a worker that lives, for the kernel goes on sending clients there.
    """

    has_siblings = True

    def __init__(self, server: ServerInMaster, pool: WorkerTable) -> None:
        super().__init__(server, pool)
        self._siblings: dict[Place, socket.socket] = {}  # of slots from 1
        self._adopted_by: dict[Place, int] = {}  # slot of the worker
        self._ended = False

    def begin(self) -> None:
        self._ended = False
        self.open()
        for one in self.server.listeners():
            spread_clients(one.fileno())

    def end(self) -> None:
        self._ended = True

    def open(self) -> None:
        if self._ended:
            return
        self._forget_replaced()
        super().open()
        for number, one in enumerate(self.server.listeners()):
            for slot in range(1, self.server.max_children()):
                if (slot, number) in self._siblings or one.fileno() < 0:
                    continue
                try:
                    self._siblings[slot, number] = sibling(one.fileno(), one.backlog())
                except OSError as error:
                    raise SettingsError(
                        "The strategy reuseport needs a TCP or UDP port, bound when it was chosen "
                        "already; on this address there is no second listener to be had: "
                        f"{os.strerror(error.errno or 0)}."
                    ) from error

    def restore_listeners(self) -> None:
        # Who comes now goes to the server's listener. Where somebody waits there will be a worker
        # again; the other siblings can be closed without anybody noticing.
        if self._siblings:
            for one in self.server.listeners():
                send_clients_to_first(one.fileno())
        for place, other in list(self._siblings.items()):
            if not has_pending([other.fileno()]):
                self._siblings.pop(place).close()
        self._adopted_by.clear()
        super().restore_listeners()

    def close(self) -> None:
        self.restore_listeners()
        self.close_in_child()

    def close_in_child(self) -> None:
        for other in self._siblings.values():
            other.close()
        self._siblings.clear()
        self._adopted_by.clear()

    def complete(self) -> None:
        """Give the listeners of slots that stay empty to workers that live."""
        here = {r.slot: r for r in self.pool.persistent()}
        keepers = {slot: r for slot, r in here.items() if r.state is WorkerState.SERVING}
        for place, fd in self._listeners().items():
            slot, number = place
            if keepers and slot not in here and self._adopted_by.get(place) not in here:
                load = Counter(self._adopted_by.values())
                keeper = min(keepers, key=lambda s: load[s])
                if keepers[keeper].channel.send(Message(Kind.ADD_LISTENER, b"%d" % number, fd)):
                    self._adopted_by[place] = keeper

    @contextlib.contextmanager
    def passing_fds(self, slot: int) -> Iterator[PassedFds]:
        """Its own listeners and those it inherits; at the end of the pool all that there are."""
        listeners = self._listeners()
        if not self._ended:
            for place in listeners:
                if place[0] == slot:
                    self._adopted_by.pop(place, None)
            heirs = {place for place, keeper in self._adopted_by.items() if keeper == slot}
            listeners = {p: fd for p, fd in listeners.items() if p[0] == slot or p in heirs}
        # The child lets go of what is not passed_fds.
        passed_fds = {p: self._siblings.pop(p) for p in listeners if p in self._siblings}
        try:
            yield tuple((number, fd) for (_, number), fd in listeners.items())
        finally:
            self._siblings.update(passed_fds)

    def listening(self) -> Collection[int]:
        return self._listeners().values()

    def waiting_at_most(self) -> int:
        backlogs = [one.backlog() for one in self.server.listeners()]
        listeners = self._listeners().items()
        return sum(waiting_at_most(fd, backlogs[number]) for (_, number), fd in listeners)

    def source(
        self, context: WorkerContext, in_flight: InFlight | None, passed_fds: PassedFds
    ) -> Source:
        return ReuseportSource(self.server, context.channel, in_flight, passed_fds)

    def _listeners(self) -> dict[Place, int]:
        """The descriptors of all that are open, by their places."""
        firsts = enumerate(one.fileno() for one in self.server.listeners())
        all_of_them = {(0, number): fd for number, fd in firsts if fd >= 0}
        siblings = dict(self._siblings)  # at once: a reading may come from another thread
        return all_of_them | {place: sock.fileno() for place, sock in siblings.items()}

    def _forget_replaced(self) -> None:
        """Close the siblings of a socket that the program has closed, or put another for."""
        for number, one in enumerate(self.server.listeners()):
            non_blocking = self._non_blocking.get(one)
            if non_blocking is not None and not non_blocking.is_of(one.fileno()):
                del self._non_blocking[one]
                for place in [place for place in self._siblings if place[1] == number]:
                    self._siblings.pop(place).close()
                    self._adopted_by.pop(place, None)
