"""The socket pair between the master and one worker: one packet is one message.

The master's end sends orders, which the worker reads between two requests; the worker's end sends
news. Each side learns that the other is gone by the end of file (unix(7), SOCK_SEQPACKET).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from enum import IntEnum
from socket import MSG_CMSG_CLOEXEC, MSG_PEEK, SCM_RIGHTS, SOL_SOCKET
from typing import NamedTuple

MAX_BODY = 70_000
"""Bytes of a message's body at most: enough for the longest datagram of UDP and its address."""

_DESCRIPTOR = struct.Struct("i")
_ANCILLARY = socket.CMSG_SPACE(_DESCRIPTOR.size)


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
    TAKE = 6
    """To a worker: serve this request; the body and the descriptor are the request."""
    LEAVING = 7
    """From a worker: it has reached a limit, and waits for the order to retire."""
    ADD_LISTENER = 8
    """To a worker: take requests from this listener as well; which of the server's listeners it is
    like, by its number."""
    TAKEN = 9
    """From a worker: it has taken the one request that it is there for."""
    PASS_LISTENER = 10
    """To a fork server: a listener of the master's that the next worker is to have, as with
    ADD_LISTENER."""
    FORK_WORKER = 11
    """To a fork server: fork a worker with this configuration; the descriptor is its end of its
    channel."""
    FORKED = 12
    """From a process that was forked on order: it is there; the body is its pid."""
    FORK_MOLD = 13
    """To a worker: fork a mold, whose end of its channel is the descriptor. On that channel: from
    the worker, whether it is still to fork it; to the worker, that it is."""


PackedRequest = tuple[bytes, int | None]
"""A request as it travels: bytes, and a descriptor if there is one."""

# Bound once: with some strategies these are needed for every request.
_KINDS = {int(kind): kind for kind in Kind}
_FIRST_BYTE = {kind: bytes([kind]) for kind in Kind}


class Message(NamedTuple):
    kind: Kind
    body: bytes = b""
    fd: int | None = None
    """A descriptor that travels along; the receiver's own copy has another number."""

    @classmethod
    def drain(cls, most: int) -> Message:
        return cls(Kind.DRAIN, b"%d" % most)

    @classmethod
    def forked(cls) -> Message:
        return cls(Kind.FORKED, b"%d" % os.getpid())

    @classmethod
    def failed(cls, traceback: str) -> Message:
        """The beginning of a very long one is cut off: what happened stands at its end."""
        return cls(Kind.FAILED, encoded(traceback)[-MAX_BODY:])


def encoded(text: str) -> bytes:
    """A traceback may contain anything, halves of characters too: it must arrive all the same."""
    return text.encode("utf-8", "backslashreplace")


class Channel:
    """One end of the pair. Only `send_surely()` ever blocks."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.hung_up = False
        self.broken = False  # whether sending has shown that the other side listens no more
        sock.setblocking(False)

    @classmethod
    def over(cls, fd: int) -> Channel:
        """An end that has travelled here."""
        return cls(socket.socket(fileno=fd))

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """The master's end and the worker's."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message) -> bool:
        """Send; whether that was possible.

        If not, the other side is gone (which is noticed elsewhere) or has long not listened, or the
        kernel has no room for the descriptor (unix(7): ETOOMANYREFS).
        """
        kind, body, fd = message
        rights = [] if fd is None else [(SOL_SOCKET, SCM_RIGHTS, _DESCRIPTOR.pack(fd))]
        try:
            self._sock.sendmsg((_FIRST_BYTE[kind], body), rights)
        except (BrokenPipeError, ConnectionResetError):
            self.broken = True
            return False
        except OSError:
            return False
        return True

    def send_surely(self, message: Message) -> None:
        """Send; wait while the other side does not listen, unless it is gone."""
        while not self.send(message):
            poll = select.poll()
            poll.register(self._sock, select.POLLOUT)
            ((_, events),) = poll.poll()
            if events & (select.POLLHUP | select.POLLERR):
                return

    def receive(self, flags: int = MSG_CMSG_CLOEXEC) -> Message | None:
        """The next message, or `None` when the other side is gone.

        Errors: `BlockingIOError` when there is none for now.
        """
        try:
            packet, rights, _, _ = self._sock.recvmsg(MAX_BODY + 1, _ANCILLARY, flags)
        except ConnectionResetError:
            # The other side left with a message of ours unread. That is said once, and before what
            # it had sent (unix(7)): its last words are still to be had.
            packet, rights, _, _ = self._sock.recvmsg(MAX_BODY + 1, _ANCILLARY, flags)
        if not packet:
            return None
        fd = _DESCRIPTOR.unpack(rights[0][2])[0] if rights else None
        return Message(_KINDS[packet[0]], packet[1:], fd)

    def peek(self) -> Message | None:
        """The same, and it stays the next one."""
        return self.receive(MSG_CMSG_CLOEXEC | MSG_PEEK)

    def wait(self, timeout: float | None) -> bool:
        """Sleep until there is something to receive, at most `timeout` seconds (`None` for ever);
        whether there is."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def say_no_more(self) -> None:
        """Make the other side see the end of file; what it says is still heard."""
        with contextlib.suppress(OSError):  # ENOTCONN: it is gone
            self._sock.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        """Make this side see the end of file, as if the other were gone; for signal handlers."""
        self.hung_up = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self._sock.close()
