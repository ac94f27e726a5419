"""The ready-made servers: each documented mix-in combined with each of the four server classes."""

from __future__ import annotations

from prefork.socketserver.mixins import ForkingMixIn, ThreadingMixIn
from prefork.socketserver.servers import (
    TCPServer,
    UDPServer,
    UnixDatagramServer,
    UnixStreamServer,
)


class ForkingTCPServer(ForkingMixIn, TCPServer):
    """A TCP server with a new process for each connection."""


class ForkingUDPServer(ForkingMixIn, UDPServer):
    """A UDP server with a new process for each datagram."""


class ForkingUnixStreamServer(ForkingMixIn, UnixStreamServer):
    """A Unix stream server with a new process for each connection (also on Python 3.11)."""


class ForkingUnixDatagramServer(ForkingMixIn, UnixDatagramServer):
    """A Unix datagram server with a new process for each datagram (also on Python 3.11)."""


class ThreadingTCPServer(ThreadingMixIn, TCPServer):
    """A TCP server with a new thread for each connection."""


class ThreadingUDPServer(ThreadingMixIn, UDPServer):
    """A UDP server with a new thread for each datagram."""


class ThreadingUnixStreamServer(ThreadingMixIn, UnixStreamServer):
    """A Unix stream server with a new thread for each connection."""


class ThreadingUnixDatagramServer(ThreadingMixIn, UnixDatagramServer):
    """A Unix datagram server with a new thread for each datagram."""
