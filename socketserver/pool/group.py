"""Servers of different kinds as one: a pool of workers that serve all of them."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from collections.abc import Sequence
from typing import Any

from prefork.linux.listeners import allow_siblings
from prefork.master.server_view import ServerInMaster
from prefork.master.strategies import strategy_of
from prefork.socketserver.mixins import ForkingMixIn
from prefork.socketserver.pool.counting import has_threads
from prefork.socketserver.pool.members import GroupAdapter, Taken
from prefork.socketserver.pool.mixin import PreforkMixIn
from prefork.socketserver.servers import BaseServer


class Group(BaseServer):
    """Several servers as one: a request to it is one to a member, whose hooks it goes through.

    When more than one member has a request, they take turns: the kernel goes round those that are
    ready if it is asked for one at a time (epoll_wait(2)).
    """

    def __init__(self, *members: Any) -> None:
        super().__init__(tuple(member.server_address for member in members), None)  # type: ignore[arg-type]
        for member in members:
            _check(member)
        if not members:
            raise ValueError("A group needs at least one server.")
        self.__members = members
        self.__watched: list[int] = []
        self.__epoll: select.epoll | None = None

    @property
    def members(self) -> Sequence[Any]:
        """The servers, in the order in which they were given."""
        return self.__members

    def fileno(self) -> int:
        """A descriptor that is readable when a member has a request; -1 once all are closed."""
        now = [int(member.fileno()) for member in self.__members]
        if now != self.__watched or self.__epoll is None:
            self.__watch(now)
        return -1 if self.__epoll is None else self.__epoll.fileno()

    def get_request(self) -> tuple[Any, Any]:
        """Take a request, of the member whose turn it is.

        Errors: `BlockingIOError` when none has; what its `get_request()` raises.
        """
        if self.fileno() >= 0 and self.__epoll is not None:
            for fd, _ in self.__epoll.poll(0, 1):
                number = self.__watched.index(fd)
                request, client_address = self.__members[number].get_request()
                return Taken(number, request), client_address
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def verify_request(self, request: Taken, client_address: Any) -> bool:
        return bool(self.__of(request).verify_request(request.request, client_address))

    def process_request(self, request: Taken, client_address: Any) -> None:
        self.__of(request).process_request(request.request, client_address)

    def finish_request(self, request: Taken, client_address: Any) -> None:
        self.__of(request).finish_request(request.request, client_address)

    def handle_error(self, request: Taken, client_address: Any) -> None:
        self.__of(request).handle_error(request.request, client_address)

    def shutdown_request(self, request: Taken) -> None:
        self.__of(request).shutdown_request(request.request)

    def close_request(self, request: Taken) -> None:
        self.__of(request).close_request(request.request)

    def service_actions(self) -> None:
        for member in self.__members:
            member.service_actions()

    def handle_timeout(self) -> Any:
        for member in self.__members:
            member.handle_timeout()

    def server_close(self) -> None:
        """Close the members, in their order; should one fail, the others close all the same."""
        self._prefork_stop_watching()
        with contextlib.ExitStack() as all_of_them:
            for member in reversed(self.__members):
                all_of_them.callback(member.server_close)

    def _prefork_members(self) -> Sequence[Any]:
        return self.__members

    def _prefork_stop_watching(self) -> None:
        epoll, self.__epoll = self.__epoll, None
        if epoll is not None:
            epoll.close()

    def __of(self, request: Taken) -> Any:
        return self.__members[request.number]

    def __watch(self, fds: list[int]) -> None:
        """Watch what the members have now.

        Always by a new epoll: what a member has closed is registered still if a worker holds it.
        """
        former = self.__epoll
        self.__epoll = None
        if max(fds) >= 0:
            self.__epoll = select.epoll()
            for fd in fds:
                if fd >= 0:
                    self.__epoll.register(fd, select.EPOLLIN)
        self.__watched = fds
        if former is not None:
            former.close()


class PreforkGroup(PreforkMixIn, Group):
    """One pool of workers that serve several servers: `PreforkGroup(web, admin, log)`.

    The members are documented servers of any kind, bound already: of streams and of datagrams, with
    or without threads. A request goes through its member's hooks, and the handler's `self.server`
    is the member. The pool is the group's: `max_children`, `prefork_settings`, `serve_forever()`
    and all the rest of `PreforkMixIn`; what members that are pools themselves say about these does
    not count. `server_close()` closes the members. `shutdown()` of a member ends the group.

    `worker_started()`, `worker_promoted()` and `worker_leaving()` of members are called beside the
    group's own, `service_actions()` and `handle_timeout()` as well.

    Errors: `TypeError` for a member that forks for each request by itself; a group of groups.
    """

    def __init__(self, *members: Any) -> None:
        Group.__init__(self, *members)
        if strategy_of(self.prefork_settings).has_siblings:
            for member in members:
                with contextlib.suppress(OSError):  # said in a sentence when they are opened
                    allow_siblings(member.fileno())

    _prefork_members = Group._prefork_members

    def _prefork_in_master(self) -> ServerInMaster:
        return GroupAdapter(self)

    def _prefork_has_threads(self) -> bool:
        return any(has_threads(member) for member in self.members)


def _check(member: Any) -> None:
    """Errors: `TypeError` for what cannot be a member."""
    name = type(member).__name__
    if isinstance(member, Group):
        raise TypeError(f"{name} is a group itself: name its members instead.")
    library = getattr(sys.modules.get("socketserver"), "ForkingMixIn", ForkingMixIn)
    if isinstance(member, ForkingMixIn | library) and not isinstance(member, PreforkMixIn):
        raise TypeError(
            f"{name} forks a process for each request, beside the workers of the group: take its "
            "class without ForkingMixIn."
        )
