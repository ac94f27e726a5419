"""The documented servers: `BaseServer` and the four kinds of socket.

The classes follow the documented behaviour exactly. They differ only where no program can rely
on the standard library's behaviour: busy loops, latency, deadlocks. Names that programs replace in
the module (`socket`, `_ServerSelector`, ...) are looked up in the package, as `api.X`, when
they are used.
"""

from __future__ import annotations

import sys

import prefork.socketserver as api
from prefork.socketserver import loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Any, Self


class BaseServer:
    """What all servers have in common, whatever kind of socket they use.

    For the caller: `serve_forever()`, `shutdown()`, `handle_request()`, `server_close()`; and
    `fileno()` of derived classes.

    May be overridden: `server_bind()`, `server_activate()`, `get_request()`, `handle_timeout()`,
    `verify_request()`, `process_request()`, `shutdown_request()`, `close_request()`,
    `service_actions()`, `handle_error()`.

    For derived classes: `finish_request()`.

    Variables: `timeout` (class or instance; seconds that `handle_request()` waits, `None` for no
    limit), `server_address`, `RequestHandlerClass`.
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
        """Start to listen; does nothing here."""

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve requests until `shutdown()`.

        The loop wakes up and calls `service_actions()` at least every `poll_interval` seconds.
        `timeout` is ignored.
        """
        loop.serve_forever([self], poll_interval)

    def shutdown(self) -> None:
        """Stop `serve_forever()` and wait until it has ended; it must have been started.

        In the thread that serves, it only asks the loop to end: waiting there would be a deadlock.
        """
        loop.shutdown(self)

    def service_actions(self) -> None:
        """Called by `serve_forever()` after each wake-up."""

    def handle_request(self) -> Any:
        """Serve one request; wait for it no longer than `timeout` and the socket's own timeout.

        Returns what `handle_timeout()` returns if no request arrived, otherwise `None`.
        """
        return loop.handle_request(self)

    def _handle_request_noblock(self) -> None:
        loop.handle_waiting_request(self, self.process_request)

    def handle_timeout(self) -> Any:
        """Called by `handle_request()` if no request arrived in time."""

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether to serve this request; if false, it is closed without being served."""
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        """Process the request; here, serve it in the calling thread. Mix-ins override this."""
        self.finish_request(request, client_address)
        self.shutdown_request(request)

    def server_close(self) -> None:
        """Release what the server holds; does nothing here."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve the request by constructing its handler."""
        self.RequestHandlerClass(request, client_address, self)

    def shutdown_request(self, request: Any) -> None:
        """Shut a request down, then close it."""
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        """Release a request; does nothing here."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the exception that is being handled to standard error; the server continues."""
        error = sys.exc_info()
        rule = "-" * 40
        print(rule, file=sys.stderr)
        print(
            "Exception occurred during processing of request from",
            client_address,
            file=sys.stderr,
        )
        try:
            import traceback  # loaded late: most programs never need it
        except (ImportError, OSError):  # no descriptor left, or another root directory
            sys.excepthook(*error)
        else:
            traceback.print_exception(*error)
        print(rule, file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: Any) -> None:
        self.server_close()

    def _prefork_members(self) -> Sequence[Any]:
        return (self,)

    def _prefork_processes(self, persistent: bool) -> loop.Processes | None:
        return None


class TCPServer(BaseServer):
    """A server with a stream socket, by default for IPv4.

    The constructor binds and listens unless `bind_and_activate` is false; if either
    fails, the socket is closed and the error propagates.

    Class or instance variables, read when used: `address_family`, `socket_type`,
    `request_queue_size` (the backlog, listen(2)), `allow_reuse_address` (SO_REUSEADDR),
    `allow_reuse_port` (SO_REUSEPORT; Linux supports it only for IP families). Instance
    variable: `socket`.
    """

    address_family: int = api.socket.AF_INET
    socket_type: int = api.socket.SOCK_STREAM
    request_queue_size: int = api.socket.SOMAXCONN if sys.version_info >= (3, 15) else 5
    allow_reuse_address: bool = False
    allow_reuse_port: bool = False

    socket: socket.socket

    def __init__(
        self,
        server_address: Any,
        RequestHandlerClass: Callable[[Any, Any, Any], Any],
        bind_and_activate: bool = True,
    ) -> None:
        # Not super(): programs combine servers and call the `__init__` of each base class.
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
        """Return `address_family`, or IPv6 if that is the default and the address an IPv6 literal.

        With IPv4 such an address always fails (gaierror).
        """
        if self.address_family != TCPServer.address_family:
            return self.address_family
        try:
            host = server_address[0].partition("%")[0]
            api.socket.inet_pton(api.socket.AF_INET6, host)
        except (OSError, ValueError, TypeError, IndexError, AttributeError):
            return self.address_family
        self.address_family = api.socket.AF_INET6
        return self.address_family

    def server_bind(self) -> None:
        """Bind the socket, and set `server_address` to the address that it has been given."""
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
        """Close the socket. The path of a Unix socket is not removed; a running loop continues."""
        self.socket.close()

    def fileno(self) -> int:
        """Return the socket's descriptor, -1 once it is closed."""
        return self.socket.fileno()

    def get_request(self) -> tuple[Any, Any]:
        """Take one request: return the connected socket and the client's address."""
        return self.socket.accept()

    def shutdown_request(self, request: Any) -> None:
        """Tell the client that no more data will come, then close the connection."""
        try:
            request.shutdown(api.socket.SHUT_WR)
        except OSError:
            pass  # the client may be gone
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        request.close()


class UDPServer(TCPServer):
    """A server with a datagram socket. A request is `(data, socket)`, with the server's socket.

    `max_packet_size` (bytes): a longer datagram is truncated to this size.
    """

    allow_reuse_address: bool = False
    allow_reuse_port: bool = False
    socket_type: int = api.socket.SOCK_DGRAM
    max_packet_size: int = 8192

    def get_request(self) -> tuple[Any, Any]:
        data, client_address = self.socket.recvfrom(self.max_packet_size)
        return (data, self.socket), client_address

    def server_activate(self) -> None:
        """Do nothing: a datagram socket does not listen."""

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        """Do nothing: the socket of the request is the server's socket."""


class UnixStreamServer(TCPServer):
    """A server with a Unix stream socket; the address is a path or an abstract name."""

    address_family: int = api.socket.AF_UNIX


class UnixDatagramServer(UDPServer):
    """A server with a Unix datagram socket."""

    address_family: int = api.socket.AF_UNIX
