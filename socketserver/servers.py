"""The documented servers: `BaseServer` and the four kinds of socket.

The documented class of each name keeps the documented behaviour to the letter; where a program
cannot rely on the standard library's behaviour (busy loops, latency, dead-locks) ours is better.
Names that programs replace in the module (`socket`, `_ServerSelector`, ...) are looked up in the
package, as `api.X`, at the moment of use.
"""

from __future__ import annotations

import contextlib
import ipaddress
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import prefork.socketserver as api
from prefork.socketserver import loop

if TYPE_CHECKING:
    import socket
    from typing import Self


class BaseServer:
    """The life of a server, whatever it is that requests come from.

    For the caller: `serve_forever()`, `shutdown()`, `handle_request()`, `server_close()`; and
    `fileno()` of derived classes.

    May be overridden: `server_bind()`, `server_activate()`, `get_request()`, `handle_timeout()`,
    `verify_request()`, `process_request()`, `shutdown_request()`, `close_request()`,
    `service_actions()`, `handle_error()`.

    For derived classes: `finish_request()`.

    Variables: `timeout` (class or instance; seconds that `handle_request()` waits, `None` for
    ever), `server_address`, `RequestHandlerClass`.
    """

    timeout: float | None = None

    def __init__(
        self, server_address: Any, RequestHandlerClass: Callable[[Any, Any, Any], Any]
    ) -> None:
        self.server_address = server_address
        self.RequestHandlerClass = RequestHandlerClass
        self.__is_shut_down = api.threading.Event()
        self.__shutdown_request = False

    def server_activate(self) -> None:
        """Begin to listen; nothing to do here."""

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown()`.

        `poll_interval` (seconds) is how often at least the loop wakes up and calls
        `service_actions()`. `timeout` is ignored.
        """
        loop.serve_forever([self], poll_interval)

    def shutdown(self) -> None:
        """Stop `serve_forever()` and wait until it has ended (it must have been or be started).

        Called from the thread that serves, it only asks for the end: waiting there would be for
        ever.
        """
        loop.shutdown(self)

    def service_actions(self) -> None:
        """Called by `serve_forever()` after each wake-up."""

    def handle_request(self) -> Any:
        """Serve one request; wait for it as long as `timeout` and the socket's own time-out allow.

        Returns what `handle_timeout()` returns when nothing came, otherwise `None`.
        """
        return loop.handle_request(self)

    def _handle_request_noblock(self) -> None:
        loop.handle_waiting_request(self, self.process_request)

    def handle_timeout(self) -> Any:
        """Called by `handle_request()` when no request came in time."""

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to serve this request; a false value closes it unserved."""
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        """Decide who serves the request: here, the caller. Mix-ins override this."""
        self.finish_request(request, client_address)
        self.shutdown_request(request)

    def server_close(self) -> None:
        """Let go of what the server holds; nothing here."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve the request by constructing a handler for it."""
        self.RequestHandlerClass(request, client_address, self)

    def shutdown_request(self, request: Any) -> None:
        """Say goodbye on a request, then close it."""
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        """Let go of a request; nothing here."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report the exception that is being handled, on standard error; the server goes on."""
        rule = "-" * 40
        print(rule, file=sys.stderr)
        print(
            "Exception occurred during processing of request from",
            client_address,
            file=sys.stderr,
        )
        traceback.print_exc()
        print(rule, file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: Any) -> None:
        self.server_close()


class TCPServer(BaseServer):
    """A server of a stream socket, by default IPv4.

    The constructor binds and listens unless `bind_and_activate` is false; if either fails the
    socket is closed and the error propagates.

    Class or instance variables, read when used: `address_family`, `socket_type`,
    `request_queue_size` (the backlog, listen(2)), `allow_reuse_address` (SO_REUSEADDR),
    `allow_reuse_port` (SO_REUSEPORT; IP families only, Linux has it for no other). Instance
    variable: `socket`.
    """

    address_family: int = api.socket.AF_INET
    socket_type: int = api.socket.SOCK_STREAM
    request_queue_size: int = 5
    allow_reuse_address: bool = False
    allow_reuse_port: bool = False

    socket: socket.socket

    def __init__(
        self,
        server_address: Any,
        RequestHandlerClass: Callable[[Any, Any, Any], Any],
        bind_and_activate: bool = True,
    ) -> None:
        # By name, not by super(): programs combine servers and call each base's own.
        BaseServer.__init__(self, server_address, RequestHandlerClass)
        self.socket = api.socket.socket(self.__family_of(server_address), self.socket_type)
        if bind_and_activate:
            try:
                self.server_bind()
                self.server_activate()
            except BaseException:
                self.server_close()
                raise

    def __family_of(self, server_address: Any) -> int:
        """The family to open: `address_family`, but IPv6 for an IPv6 literal under the default.

        With IPv4 such an address can only fail (gaierror).
        """
        if self.address_family != TCPServer.address_family:
            return self.address_family
        with contextlib.suppress(ValueError, TypeError, IndexError, AttributeError):
            if ipaddress.ip_address(server_address[0].partition("%")[0]).version == 6:
                self.address_family = api.socket.AF_INET6
        return self.address_family

    def server_bind(self) -> None:
        """Bind the socket; `server_address` becomes the address that it really has."""
        if self.allow_reuse_address:
            self.socket.setsockopt(api.socket.SOL_SOCKET, api.socket.SO_REUSEADDR, 1)
        ip = (api.socket.AF_INET, api.socket.AF_INET6)
        if self.allow_reuse_port and self.socket.family in ip:
            self.socket.setsockopt(api.socket.SOL_SOCKET, api.socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def server_activate(self) -> None:
        """Listen, with a backlog of `request_queue_size`."""
        self.socket.listen(self.request_queue_size)

    def server_close(self) -> None:
        """Close the socket. A Unix socket's path stays; a loop that runs goes on without it."""
        self.socket.close()

    def fileno(self) -> int:
        """The socket's descriptor number, -1 once it is closed."""
        return self.socket.fileno()

    def get_request(self) -> tuple[Any, Any]:
        """Take one request: the connected socket and the client's address."""
        return self.socket.accept()

    def shutdown_request(self, request: Any) -> None:
        """Tell the client that nothing more will come, then close the connection."""
        try:
            request.shutdown(api.socket.SHUT_WR)
        except OSError:
            pass  # the client may be gone
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        request.close()


class UDPServer(TCPServer):
    """A server of a datagram socket: a request is `(data, socket)`, the socket the server's own.

    `max_packet_size` (bytes): a longer datagram is cut to this.
    """

    allow_reuse_address: bool = False
    allow_reuse_port: bool = False
    socket_type: int = api.socket.SOCK_DGRAM
    max_packet_size: int = 8192

    def get_request(self) -> tuple[Any, Any]:
        data, client_address = self.socket.recvfrom(self.max_packet_size)
        return (data, self.socket), client_address

    def server_activate(self) -> None:
        """Nothing: a datagram socket does not listen."""

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        """Nothing: the socket of a datagram is the server's own."""


class UnixStreamServer(TCPServer):
    """A server of a Unix stream socket; the address is a path, or an abstract name."""

    address_family: int = api.socket.AF_UNIX


class UnixDatagramServer(UDPServer):
    """A server of a Unix datagram socket."""

    address_family: int = api.socket.AF_UNIX
