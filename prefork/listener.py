"""What the master does to a listening socket that its workers share."""

from __future__ import annotations

import os
import socket
import struct

_UNACKED = struct.Struct("=24xI")
_SMALLEST_DATAGRAM = 512
"""Bytes of the receive buffer that the kernel charges for a datagram, at least."""


class SharedListener:
    """The listener of a pool, non-blocking for as long as workers take from it.

    The flag belongs to the open socket, not to the descriptor: every process that holds it sees it
    (fcntl(2), F_SETFL). What `gettimeout()` says does not change, and connections taken from it are
    blocking. A datagram socket is left alone: handlers answer through it and may have to wait.
    """

    def __init__(self, fd: int) -> None:
        # A copy outlives the server's own: the flag must be put back in the end.
        self._sock = socket.socket(fileno=os.dup(fd))
        self._was_blocking: bool | None = None

    def share(self) -> None:
        """Let workers take from it."""
        if self._was_blocking is None and self._sock.type == socket.SOCK_STREAM:
            self._was_blocking = os.get_blocking(self._sock.fileno())
            os.set_blocking(self._sock.fileno(), False)

    def same_as(self, fd: int) -> bool:
        """Whether `fd` is this socket, and not another that has taken its place."""
        return os.path.sameopenfile(self._sock.fileno(), fd)

    def waiting_at_most(self, backlog: int) -> int:
        """How many requests can be waiting now.

        TCP says it exactly (tcp(7): TCP_INFO of a listener has its queue in `tcpi_unacked`). A Unix
        listener's queue is no longer than its backlog. Datagrams are bounded by the buffer.
        """
        if self._sock.type != socket.SOCK_STREAM:
            buffer = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            return buffer // _SMALLEST_DATAGRAM
        if self._sock.family in (socket.AF_INET, socket.AF_INET6):
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED.size)
            (waiting,) = _UNACKED.unpack(info)
            return int(waiting)
        return backlog + 1

    def close(self, shared: bool = False) -> None:
        """Put the flag back, unless workers still take from it (`shared`), and let go."""
        if self._was_blocking is not None and not shared:
            os.set_blocking(self._sock.fileno(), self._was_blocking)
        self._sock.close()

    def forget(self) -> None:
        """Drop a worker's inherited copy; the flag is the master's business."""
        self._sock.close()
