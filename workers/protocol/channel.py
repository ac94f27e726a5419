"""The socket pair between the master and one worker: one packet is one message.

The master sends orders, which the worker reads between two requests; the worker sends events. Each
side sees the end of file when the other has exited (unix(7), SOCK_SEQPACKET).
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
"""The most bytes of a message's body: enough for the longest UDP datagram and its address."""

_DESCRIPTOR = struct.Struct("i")
_ANCILLARY = socket.CMSG_SPACE(_DESCRIPTOR.size)


class Kind(IntEnum):
    """What a message says; the first byte of the packet."""

    RETIRE = 1
    """To a worker: exit after the present request."""
    DRAIN = 2
    """To a worker: serve what waits in the backlog, at most the given number, then exit."""
    READY = 3
    """From a worker: it is ready to take requests."""
    FAILED = 4
    """From a worker: it cannot start; the body is the traceback."""
    STOP = 5
    """From a worker: a handler asked for the end of the whole server."""
    TAKE = 6
    """To a worker: serve this request; the body and the descriptor are the request."""
    LEAVING = 7
    """From a worker: it has reached a limit, and waits for the order to retire."""
    ADD_LISTENER = 8
    """To a worker: take requests from this listener too; the body is the number of the server's
    listener that it is a sibling of."""
    TAKEN = 9
    """From a worker that serves a single request: it has taken that request."""
    PASS_LISTENER = 10
    """To a fork server: a listener of the master that the next worker keeps; the body as with
    ADD_LISTENER."""
    FORK_WORKER = 11
    """To a fork server: fork a worker with this configuration; the descriptor is its end of its
    channel."""
    FORKED = 12
    """From a process that was forked on order: it runs; the body is its pid."""
    FORK_MOLD = 13
    """To a worker: fork a mold; the descriptor is the mold's end of its channel. On that channel,
    the worker sends the same to ask whether to go ahead, and the master sends it back to agree."""


PackedRequest = tuple[bytes, int | None]
"""A request on its way to another process: bytes, and a descriptor if there is one."""

# Bound once: with some strategies these are needed for every request.
_KINDS = {int(kind): kind for kind in Kind}
_FIRST_BYTE = {kind: bytes([kind]) for kind in Kind}


class Message(NamedTuple):
    kind: Kind
    body: bytes = b""
    fd: int | None = None
    """A descriptor that is sent along; the receiver's copy has another number."""

    @classmethod
    def drain(cls, most: int) -> Message:
        return cls(Kind.DRAIN, b"%d" % most)

    @classmethod
    def forked(cls) -> Message:
        return cls(Kind.FORKED, b"%d" % os.getpid())

    @classmethod
    def failed(cls, traceback: str) -> Message:
        """Cut the beginning of a very long traceback: what happened is at its end."""
        return cls(Kind.FAILED, encoded(traceback)[-MAX_BODY:])


def encoded(text: str) -> bytes:
    """Encode a traceback, which may contain lone surrogates."""
    return text.encode("utf-8", "backslashreplace")


class Channel:
    """One end of the pair. Only `wait()` and `send_surely()` block."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.hung_up = False
        self.broken = False  # whether a send has shown that the other side is closed
        sock.setblocking(False)

    @classmethod
    def over(cls, fd: int) -> Channel:
        """Make a channel of a descriptor that was received."""
        return cls(socket.socket(fileno=fd))

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Return the master's end and the worker's."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message) -> bool:
        """Send a message, and return whether that was possible.

        It is not when the other side has exited (which is noticed elsewhere), when its buffer is
        full, or when the kernel cannot hold the descriptor (unix(7): ETOOMANYREFS).
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
        """Send a message; wait while the other side's buffer is full, unless it has exited."""
        while not self.send(message):
            poll = select.poll()
            poll.register(self._sock, select.POLLOUT)
            ((_, events),) = poll.poll()
            if events & (select.POLLHUP | select.POLLERR):
                return

    def receive(self, flags: int = MSG_CMSG_CLOEXEC) -> Message | None:
        """Return the next message, or `None` when the other side has exited.

        Errors: `BlockingIOError` when there is no message now.
        """
        try:
            packet, rights, _, _ = self._sock.recvmsg(MAX_BODY + 1, _ANCILLARY, flags)
        except ConnectionResetError:
            # The other side exited with an unread message in its buffer. The error comes once, and
            # before what it had sent (unix(7)), which can still be read.
            packet, rights, _, _ = self._sock.recvmsg(MAX_BODY + 1, _ANCILLARY, flags)
        if not packet:
            return None
        fd = _DESCRIPTOR.unpack(rights[0][2])[0] if rights else None
        return Message(_KINDS[packet[0]], packet[1:], fd)

    def peek(self) -> Message | None:
        """Return the next message without removing it."""
        return self.receive(MSG_CMSG_CLOEXEC | MSG_PEEK)

    def wait(self, timeout: float | None) -> bool:
        """Wait until there is something to receive, and return whether there is.

        `timeout` is in seconds, `None` for no limit.
        """
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def say_no_more(self) -> None:
        """Make the other side see the end of file; its messages can still be received."""
        with contextlib.suppress(OSError):  # ENOTCONN: it has exited
            self._sock.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        """Make this side see the end of file, as if the other had exited; for signal handlers."""
        self.hung_up = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self._sock.close()
