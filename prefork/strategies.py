"""Who takes a request, and how it comes to a worker.

Strategies differ in three answers: how many workers stand ready, when the master watches the
listener, and what becomes of a request that the master took. Spawning, reaping, draining and limits
are the same for all.
"""

from __future__ import annotations

from typing import Any, Protocol

from prefork.settings import StrategyName
from prefork.workers.channel import Channel
from prefork.workers.room import Room
from prefork.workers.service import Service
from prefork.workers.sources import SharedListener, Source


class Dispatcher(Protocol):
    """What a strategy may ask of the master."""

    def serve_apart(self, request: Any, client_address: Any) -> None:
        """Fork a worker for this one request."""


class Strategy(Protocol):
    workers_take: bool
    """Whether workers take requests from the server's listener; otherwise the master does."""

    def standing(self, max_children: int) -> int:
        """How many workers to keep."""

    def wants_listener(self, occupied: int, max_children: int) -> bool:
        """Whether the master shall take requests, with so many places of the pool occupied."""

    def source(self, service: Service, channel: Channel, room: Room | None) -> Source:
        """Where a standing worker finds its requests; asked in the worker."""

    def dispatch(self, master: Dispatcher, request: Any, client_address: Any) -> None:
        """Bring a request that the master took to a worker."""


class Accept:
    """The workers take requests from the listener they share; the kernel balances."""

    workers_take = True

    def standing(self, max_children: int) -> int:
        return max_children

    def wants_listener(self, occupied: int, max_children: int) -> bool:
        return False

    def source(self, service: Service, channel: Channel, room: Room | None) -> Source:
        return SharedListener(service, channel, room)

    def dispatch(self, master: Dispatcher, request: Any, client_address: Any) -> None:
        master.serve_apart(request, client_address)


class Fork:
    """The master takes each request and forks a worker for it."""

    workers_take = False

    def standing(self, max_children: int) -> int:
        return 0

    def wants_listener(self, occupied: int, max_children: int) -> bool:
        return occupied < max_children

    def source(self, service: Service, channel: Channel, room: Room | None) -> Source:
        raise AssertionError("no worker stands ready under this strategy")

    def dispatch(self, master: Dispatcher, request: Any, client_address: Any) -> None:
        master.serve_apart(request, client_address)


STRATEGIES: dict[StrategyName, Strategy] = {"accept": Accept(), "fork": Fork()}
