"""Ready-made pools: `PreforkMixIn` combined with each of the four server classes."""

from __future__ import annotations

from prefork.socketserver.pool.mixin import PreforkMixIn
from prefork.socketserver.servers import (
    TCPServer,
    UDPServer,
    UnixDatagramServer,
    UnixStreamServer,
)


class PreforkTCPServer(PreforkMixIn, TCPServer):
    """A TCP server with a pool of worker processes that are forked in advance."""


class PreforkUDPServer(PreforkMixIn, UDPServer):
    """A UDP server with a pool of worker processes that are forked in advance."""


class PreforkUnixStreamServer(PreforkMixIn, UnixStreamServer):
    """A Unix stream server with a pool of worker processes that are forked in advance."""


class PreforkUnixDatagramServer(PreforkMixIn, UnixDatagramServer):
    """A Unix datagram server with a pool of worker processes that are forked in advance."""
