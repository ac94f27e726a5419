"""What the master does to the listener that its workers share."""

from __future__ import annotations

import os
import select
import socket
import struct

_UNACKED = struct.Struct("=24xI")
_SMALLEST_DATAGRAM = 512
"""Bytes of the receive buffer that the kernel charges for a datagram, at least."""


class SharedListener:
    """The listener of a pool, non-blocking for as long as workers take from it.

    The flag belongs to the open socket, not to the descriptor: every process that holds it sees it
    (fcntl(2), F_SETFL). What `gettimeout()` says does not change, and connections taken from it are
    blocking. What does not listen is left alone: handlers may read or write on it, and must wait.
    """

    def __init__(self, fd: int) -> None:
        # A copy outlives the server's own: the flag must be put back in the end.
        self._fd = os.dup(fd)
        self._was_blocking: bool | None = None

    def share(self) -> None:
        """Let workers take from it."""
        if self._was_blocking is None and self._option(socket.SO_ACCEPTCONN):
            self._was_blocking = os.get_blocking(self._fd)
            os.set_blocking(self._fd, False)

    def same_as(self, fd: int) -> bool:
        """Whether `fd` is this socket, and not another that has taken its place."""
        return os.path.sameopenfile(self._fd, fd)

    def something_waits(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(0))

    def waiting_at_most(self, backlog: int) -> int:
        """How many requests can be waiting now.

        TCP says it exactly (tcp(7): TCP_INFO of a listener has its queue in `tcpi_unacked`). The
        queue of another listener is no longer than its backlog. Datagrams are bounded by the
        buffer.
        """
        if not self._option(socket.SO_ACCEPTCONN):
            return (self._option(socket.SO_RCVBUF) or 0) // _SMALLEST_DATAGRAM + 1
        try:
            with socket.socket(fileno=os.dup(self._fd)) as sock:
                info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED.size)
        except OSError:  # not TCP
            return backlog + 1
        (waiting,) = _UNACKED.unpack(info)
        return int(waiting)

    def close(self, shared: bool = False) -> None:
        """Put the flag back, unless workers still take from it (`shared`), and let go."""
        if self._was_blocking is not None and not shared:
            os.set_blocking(self._fd, self._was_blocking)
        os.close(self._fd)

    def forget(self) -> None:
        """Drop a child's inherited copy; the flag is the master's business."""
        os.close(self._fd)

    def _option(self, name: int) -> int | None:
        """A socket option; `None` for what is no socket."""
        try:
            with socket.socket(fileno=os.dup(self._fd)) as sock:
                return sock.getsockopt(socket.SOL_SOCKET, name)
        except OSError:
            return None
