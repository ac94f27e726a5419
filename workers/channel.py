"""The socket pair between the master and one worker: one packet is one message.

The master's end sends orders, which the worker reads between two requests; the worker's end sends
news. Each side learns that the other is gone by the end of file (unix(7), SOCK_SEQPACKET).
"""

from __future__ import annotations

import contextlib
import socket
from enum import IntEnum
from typing import NamedTuple

MAX_BODY = 60_000
"""Bytes of a message's body; the rest of a longer one (a traceback) is cut off at its beginning."""


class Kind(IntEnum):
    """What a message says; the first byte of the packet."""

    RETIRE = 1
    """To a worker: leave after the present request."""
    DRAIN = 2
    """To a worker: serve what waits in the backlog, at most the given number, then leave."""
    READY = 3
    """From a worker: it can take requests now."""
    FAILED = 4
    """From a worker: it cannot start; the body is the traceback."""
    STOP = 5
    """From a worker: a handler asked for the end of the whole server."""


class Message(NamedTuple):
    kind: Kind
    body: bytes = b""

    @classmethod
    def drain(cls, most: int) -> Message:
        return cls(Kind.DRAIN, b"%d" % most)


class Channel:
    """One end of the pair. Nothing here ever blocks."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.hung_up = False
        sock.setblocking(False)

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """The master's end and the worker's."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message) -> None:
        """Send, or lose the message if the other side is gone (its end is noticed elsewhere)."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
            self._sock.send(bytes([message.kind]) + message.body[-MAX_BODY:])

    def receive(self) -> Message | None:
        """The next message, or `None` when the other side is gone.

        Errors: `BlockingIOError` when there is none for now.
        """
        try:
            packet = self._sock.recv(MAX_BODY + 1)
        except ConnectionResetError:
            # The other side left with a message of ours unread. That is said once, and before what
            # it had sent (unix(7)): its last words are still to be had.
            packet = self._sock.recv(MAX_BODY + 1)
        return Message(Kind(packet[0]), packet[1:]) if packet else None

    def hang_up(self) -> None:
        """Make this side see the end of file, as if the other were gone; for signal handlers."""
        self.hung_up = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self._sock.close()
