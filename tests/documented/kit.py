"""Helpers shared by the tests of the documented API."""

import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.support.announcements import Told
from tests.support.clients import connect, datagram_socket, receive_all
from tests.support.deadlines import EXCHANGE, Call, stretched
from tests.support.polling import eventually

LOOPBACK = ("127.0.0.1", 0)
BACKLOG = socket.SOMAXCONN if sys.version_info >= (3, 15) else 5
"""The default of `request_queue_size`."""

SERVER_HOOKS = (
    "server_bind",
    "server_activate",
    "server_close",
    "service_actions",
    "_handle_request_noblock",
    "get_request",
    "verify_request",
    "process_request",
    "process_request_thread",
    "finish_request",
    "handle_error",
    "handle_timeout",
    "shutdown_request",
    "close_request",
)

ACCEPTED = ["_handle_request_noblock", "get_request", "verify_request"]
TAKEN = [*ACCEPTED, "process_request"]
SERVED = ["finish_request", "setup", "handle", "finish"]
ENDED = ["shutdown_request", "close_request"]

Say = Callable[[str], object]


class Record(list[str]):
    """A list of names that can be called to add one; usable as `say`."""

    def __call__(self, name: str) -> None:
        self.append(name)

    def without(self, *names: str) -> list[str]:
        return [name for name in self if name not in names]


def traced(base: type, say: Say, **overrides: Any) -> Any:
    """Return a subclass of the server class *base* that says the name of each hook that is called.

    *overrides* replace hooks by functions; their calls are said as well.
    """

    def announced(name: str) -> Any:
        def hook(self: Any, *args: Any) -> Any:
            say(name)
            if name in overrides:
                return overrides[name](self, *args)
            return getattr(super(Traced, self), name)(*args)

        hook.__name__ = name
        return hook

    hooks = {name: announced(name) for name in SERVER_HOOKS if hasattr(base, name)}
    Traced = type("Traced", (base,), hooks)
    return Traced


def traced_handler(base: type, say: Say, **raising: BaseException) -> Any:
    """Return a handler class that says the names of its methods; *raising* has their errors."""

    def announced(name: str) -> Any:
        def step(self: Any) -> None:
            say(name)
            if name in raising:
                raise raising[name]
            getattr(super(Handler, self), name)()

        return step

    steps = {name: announced(name) for name in ("setup", "handle", "finish")}
    Handler = type("Handler", (base,), steps)
    return Handler


def mixed(api: Any, mixin: str, kind: str) -> Any:
    """The server class *kind* with a mix-in: `Threading`, `Forking`, or none."""
    bases = [getattr(api, f"{mixin}MixIn")] if mixin else []
    return type("Server", (*bases, getattr(api, kind)), {})


def address_for(kind: str, short_path: Path) -> Any:
    """Return an address to which a server class of this name can be bound."""
    return str(short_path / "server") if kind.startswith("Unix") else LOOPBACK


def bound_client(server: Any, short_path: Path) -> socket.socket:
    """Return a datagram socket that the server can answer."""
    unix = isinstance(server.server_address, str)
    return datagram_socket(server.server_address, str(short_path / "client") if unix else None)


def raiser(error: BaseException) -> Any:
    """Return a function that takes any arguments and raises *error*."""

    def raise_it(*_: Any, **__: Any) -> Any:
        raise error

    return raise_it


def ignore(*_: Any) -> None:
    """A request handler that does nothing."""


def echo(request: socket.socket, client_address: Any, server: Any) -> None:
    """A request handler that sends back the first data that it receives."""
    request.sendall(request.recv(65536))


def serve_one(server: Any, request: bytes = b"") -> bytes:
    """Connect, let the server serve this request with `handle_request`, and return the answer."""
    with connect(server.server_address) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        take_one(server)
        return receive_all(client)


def take_one(server: Any) -> Any:
    """Call `handle_request` with a deadline."""
    if server.timeout is None:
        server.timeout = stretched(EXCHANGE)
    return server.handle_request()


def entered(told: Told) -> int:
    """Wait until the handler `held` has been entered; return the pid of its process."""
    return int(told.wait_for(b"entered").split()[0])


def take_and_leave(server: Any, told: Told) -> int:
    """Let `held` take a client's request, and close the client; return the pid of its process."""
    with connect(server.server_address):
        take_one(server)
    return entered(told)


def start_closing(server: Any, told: Told) -> Call[None]:
    """Close the server in a thread, which says "closed" when that has returned.

    Returns as soon as the listener is closed, while the thread may still wait for requests.
    """

    def close() -> None:
        server.server_close()
        told.say("closed")

    closing = Call(close, "server_close()")
    eventually(lambda: server.socket.fileno() == -1, what="closed listener")
    return closing


def start_shutting_down(server: Any) -> Call[None]:
    """Call `shutdown` in a thread; return when the flag is set, or when the loop has ended."""
    asking: Call[None] = Call(server.shutdown, "shutdown()")
    eventually(lambda: flag(server) or has_ended(server), what="stop flag")
    return asking


def stop(server: Any) -> None:
    """Ask the loop to end without waiting for it, as handlers and signal handlers do."""
    server._BaseServer__shutdown_request = True


def flag(server: Any) -> bool:
    value: bool = server._BaseServer__shutdown_request
    return value


def has_ended(server: Any) -> bool:
    """Return what programs read to see whether the loop runs."""
    value: bool = vars(server)["_BaseServer__is_shut_down"].is_set()
    return value


def recording_selector(base: type, waits: list[Any], then: Iterable[Any] = ()) -> Any:
    """Return a selector class that records the time-out of each `select`.

    *then* scripts the answers, one for each `select`: each is a function whose argument, when it is
    called, waits and returns the selector's real answer. After the last one, the answers are real.
    """
    script = iter(then)

    class Recording(base):  # type: ignore[misc]
        def select(self, timeout: float | None = None) -> Any:
            waits.append(timeout)
            real = super().select
            for step in script:
                return step(lambda: real(timeout))
            return real(timeout)

    return Recording
