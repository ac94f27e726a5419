"""What the master and a worker see of a group of servers; for a single server see `adapter`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from prefork.socketserver.loop import members_of
from prefork.socketserver.pool.adapter import Adapter
from prefork.socketserver.pool.counting import has_threads, start_counting, stop_counting
from prefork.socketserver.pool.mixin import PreforkMixIn
from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.messages import PackedRequest
from prefork.workers.server_in_worker import Listener, Taker


class Taken(NamedTuple):
    """A request to a group: the number of the member, and the request that the member took."""

    number: int
    request: Any


class MemberAdapter(Adapter):
    """Adapts one member of a group; marks each request that it takes with the member's number."""

    def __init__(self, member: Any, number: int) -> None:
        super().__init__(member)
        self._number = number

    def has_threads(self) -> bool:
        return has_threads(self._server)

    def join(self, in_flight: InFlight | None, ask_stop: Callable[[], object]) -> None:
        """Make this process a worker of the group."""
        self.end_loop()
        if isinstance(self._server, PreforkMixIn):
            self._server._prefork_enter_worker(None, ask_stop)
        if in_flight is not None:
            start_counting(self._server, in_flight)

    def started(self) -> None:
        self._call("worker_started")

    def promoted(self) -> None:
        stop_counting(self._server)
        self._call("worker_promoted")

    def leaving(self) -> None:
        self._call("worker_leaving")

    def taker(self) -> Taker:
        take, number = super().taker(), self._number

        def take_from_member() -> tuple[Any, Any]:
            request, client_address = take()
            return Taken(number, request), client_address

        return take_from_member

    def _call(self, hook: str) -> None:
        """Call a hook that exists only if the member is a pool."""
        if (call := getattr(self._server, hook, None)) is not None:
            call()


class GroupAdapter(Adapter):
    """Adapts the group; passes each request on to its member."""

    def __init__(self, group: Any) -> None:
        super().__init__(group)
        self._members: list[MemberAdapter] = [
            MemberAdapter(m, n) for n, m in enumerate(members_of(group))
        ]

    # -- for the master ----------------------------------------------------------------------

    def daemon_threads(self) -> bool:
        """Return whether all members with threads have daemon threads."""
        return all(member.daemon_threads() for member in self._members if member.has_threads())

    def pack(self, request: Taken, client_address: Any) -> PackedRequest | None:
        number, inner = request
        packed = self._members[number].pack(inner, client_address)
        if packed is None:
            return None
        body, fd = packed
        return b"%d:%b" % (number, body), fd

    def close_in_child(self) -> None:
        super().close_in_child()
        for member in self._members:
            member.close_in_child()
        self._server._prefork_stop_watching()

    # -- for a worker ------------------------------------------------------------------------

    def enter(self, in_flight: InFlight | None, ask_stop: Callable[[], object]) -> None:
        super().enter(None, ask_stop)
        for member in self._members:
            member.join(in_flight, ask_stop)

    def started(self) -> None:
        super().started()
        for member in self._members:
            member.started()

    def promoted(self) -> None:
        super().promoted()
        for member in self._members:
            member.promoted()

    def leaving(self) -> None:
        for member in self._members:
            member.leaving()
        super().leaving()

    def listeners(self) -> Sequence[Listener]:
        return self._members

    def unpack(self, packed: bytes, fd: int | None) -> tuple[Any, Any]:
        number, _, body = packed.partition(b":")
        member = int(number)
        request, client_address = self._members[member].unpack(body, fd)
        return Taken(member, request), client_address

    def release_listener(self) -> None:
        for member in self._members:
            member.release_listener()

    def serve_one(self, request: Taken, client_address: Any, whole: bool) -> int:
        # The member's own `process_request()` does not fork, so the master has not called it. It is
        # not called here if it starts a thread, which would be aborted when this process exits.
        member = self._members[request.number]
        for other in self._members:
            if other is not member:
                other.release_listener()
        return member.serve_one(request.request, client_address, not member.has_threads())

    def stop_asked(self) -> bool:
        return any([super().stop_asked(), *[member.stop_asked() for member in self._members]])
