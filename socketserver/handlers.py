"""The three documented request handler classes and the unbuffered writer under the stream one.

A handler object exists for exactly one request: constructing it serves the request. The server
does the rest: it accepts, closes and reports errors.
"""

from __future__ import annotations

from io import BufferedIOBase, BytesIO

import prefork.socketserver as api

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, BinaryIO

    from _typeshed import ReadableBuffer


class BaseRequestHandler:
    """Serves one request by being constructed.

    May be overridden: `setup()`, `handle()`, `finish()`; here all three do nothing.

    Variables: `request` (a connected socket, or `(data, socket)` for datagrams), `client_address`,
    `server`.

    Errors: when `setup()` raises, neither of the other two runs. When `handle()` raises, `finish()`
    still runs, and an error that it raises takes precedence. Every error propagates to the server.
    """

    def __init__(self, request: Any, client_address: Any, server: Any) -> None:
        self.request = request
        self.client_address = client_address
        self.server = server
        self.setup()
        try:
            self.handle()
        finally:
            self.finish()

    def setup(self) -> None:
        """Prepare; called before `handle()`."""

    def handle(self) -> None:
        """Do all the work that is required to serve the request."""

    def finish(self) -> None:
        """Clean up; called after `handle()`, even if that raised an exception."""


class StreamRequestHandler(BaseRequestHandler):
    """Gives a stream request two file objects: `rfile` to read from, `wfile` to write to.

    Class variables, read for each request:

    * `rbufsize`: buffer size of `rfile` in bytes; -1 for the default size, 0 for no buffer.
    * `wbufsize`: buffer size of `wfile`; 0 (the default) sends each write at once and completely.
    * `timeout`: timeout of every blocking call on the connection, in seconds; `None` for no limit.
    * `disable_nagle_algorithm`: whether to set TCP_NODELAY (tcp(7)).
    """

    rbufsize: int = -1
    wbufsize: int = 0
    timeout: float | None = None
    disable_nagle_algorithm: bool = False

    connection: socket.socket
    rfile: BinaryIO
    wfile: BinaryIO

    def setup(self) -> None:
        connection = self.connection = self.request
        if self.timeout is not None:
            connection.settimeout(self.timeout)
        if self.disable_nagle_algorithm:
            connection.setsockopt(api.socket.IPPROTO_TCP, api.socket.TCP_NODELAY, True)
        self.rfile = connection.makefile("rb", self.rbufsize)
        if self.wbufsize == 0:
            # It behaves like a BinaryIO in everything that the documentation promises.
            self.wfile = api._SocketWriter(connection)  # type: ignore[assignment]
        else:
            self.wfile = connection.makefile("wb", self.wbufsize)

    def finish(self) -> None:
        """Flush and close both files; it is not an error if the client has gone."""
        try:
            if not self.wfile.closed:
                self.wfile.flush()
        except OSError:
            pass
        # A buffered file repeats a failed flush in close(), and raises the same error.
        try:
            self.wfile.close()
        except OSError:
            pass
        self.rfile.close()


class DatagramRequestHandler(BaseRequestHandler):
    """Gives a datagram request `rfile` (the packet) and `wfile` (the answer), both in memory.

    `finish()` sends the answer as one datagram, empty if nothing was written.
    Variables: `packet` (bytes), `socket` (the server's own), `rfile`, `wfile`.
    """

    packet: bytes
    socket: socket.socket

    def setup(self) -> None:
        self.packet, self.socket = self.request
        self.rfile = BytesIO(self.packet)
        self.wfile = BytesIO()

    def finish(self) -> None:
        self.socket.sendto(self.wfile.getvalue(), self.client_address)


class _SocketWriter(BufferedIOBase):
    """An unbuffered writable file over a socket; closing it leaves the socket open."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def writable(self) -> bool:
        return True

    def write(self, b: ReadableBuffer) -> int:
        """Send all of `b`, even if signals interrupt the call; return the number of bytes."""
        self._sock.sendall(b)
        if type(b) is bytes:
            return len(b)
        with memoryview(b) as view:
            return view.nbytes

    def fileno(self) -> int:
        return self._sock.fileno()
