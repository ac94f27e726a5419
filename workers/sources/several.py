"""Several listeners that all workers share: those of a group of servers."""

from __future__ import annotations

from typing import Any

from prefork.workers.channel import Channel
from prefork.workers.room import Room
from prefork.workers.service import Service
from prefork.workers.sources.base import Order
from prefork.workers.sources.shared import SharedListener
from prefork.workers.turns import Turns


class SharedListeners(SharedListener):
    """The same for several: a worker stands in the line of each of them.

    Those that have a request take turns in it, so that a flooded one keeps nobody waiting at
    another for longer than one request of each.
    """

    def __init__(
        self, service: Service, channel: Channel, room: Room | None, order: Order = "fair"
    ) -> None:
        super().__init__(service, channel, room, order)
        self.take = self._take_in_turn
        self._in_turn = Turns(self._takers)
        self._chosen = -1

    def wait(self, timeout: float | None) -> bool:
        self._turns -= 1
        if self._turns < 0:
            self._join_line()
        ready = [fd for fd, _ in self._poll(timeout)]
        if ready and self._takers.keys() >= set(ready):
            self._chosen = self._in_turn.next(ready)
            return True
        self._ears.forget_departures()
        return False

    def something_waits(self) -> bool:
        ready = [fd for fd, _ in self._glance.poll(0)]
        if ready:
            self._chosen = self._in_turn.next(ready)
        return bool(ready)

    def _take_in_turn(self) -> tuple[Any, Any]:
        return self._takers[self._chosen]()
