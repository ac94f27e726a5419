"""Groups: one pool of workers that serves several servers, possibly of different kinds."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from collections.abc import Sequence
from typing import Any

from prefork.linux.listening_sockets import allow_siblings
from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies import strategy_of
from prefork.socketserver.mixins import ForkingMixIn
from prefork.socketserver.pool.counting import has_threads
from prefork.socketserver.pool.members import GroupAdapter, Taken
from prefork.socketserver.pool.mixin import PreforkMixIn
from prefork.socketserver.servers import BaseServer


class Group(BaseServer):
    """Combines several servers; each request belongs to a member and passes through its hooks.

    When several members have a request, they take turns: if epoll is asked for a single event,
    the kernel rotates among the ready descriptors (epoll_wait(2)).
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
        """Return a descriptor that is readable when a member has a request.

        It is -1 once all members are closed.
        """
        now = [int(member.fileno()) for member in self.__members]
        if now != self.__watched or self.__epoll is None:
            self.__watch(now)
        return -1 if self.__epoll is None else self.__epoll.fileno()

    def get_request(self) -> tuple[Any, Any]:
        """Take a request from the member whose turn it is.

        Errors: `BlockingIOError` if no member has one; errors of the member's `get_request()`.
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
        """Close the members in their order; if one fails, the others are closed anyway."""
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
        """Watch the present descriptors of the members with a new epoll.

        A descriptor that a member has closed stays registered in the old one as long as a worker
        has it open.
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
    """One pool of workers that serves several servers: `PreforkGroup(web, admin, log)`.

    The members are documented servers of any kind that are already bound: for streams or datagrams,
    with or without threads. A request passes through its member's hooks, and the handler's
    `self.server` is the member. The pool belongs to the group: `max_children`, `prefork_settings`,
    `serve_forever()` and everything else of `PreforkMixIn`; the same attributes of members that
    are pools are ignored. `server_close()` closes the members. `shutdown()` of a member stops the
    group.

    The hooks `worker_started()`, `worker_promoted()`, `worker_leaving()`, `service_actions()` and
    `handle_timeout()` of the members are called in addition to the group's own.

    Errors: `TypeError` for a member that is a group, or that forks a process for each request.
    """

    def __init__(self, *members: Any) -> None:
        Group.__init__(self, *members)
        if strategy_of(self.prefork_settings).has_siblings:
            for member in members:
                with contextlib.suppress(OSError):  # reported when the listeners are opened
                    allow_siblings(member.fileno())

    _prefork_members = Group._prefork_members

    def _prefork_in_master(self) -> ServerInMaster:
        return GroupAdapter(self)

    def prefork_threads(self) -> int | None:
        with_threads = any(has_threads(member) for member in self.members)
        return self.prefork_settings.threads if with_threads else None


def _check(member: Any) -> None:
    """Check that a server can be a member; raise `TypeError` otherwise."""
    name = type(member).__name__
    if isinstance(member, Group):
        raise TypeError(f"{name} is itself a group; pass its members instead.")
    library = getattr(sys.modules.get("socketserver"), "ForkingMixIn", ForkingMixIn)
    if isinstance(member, ForkingMixIn | library) and not isinstance(member, PreforkMixIn):
        raise TypeError(
            f"{name} forks a process for each request in addition to the group's workers; use "
            "its class without ForkingMixIn."
        )
