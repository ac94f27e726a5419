"""The socket pair between the master and one worker: one packet is one message.

The master sends orders, which the worker reads between two requests; the worker sends events. Each
side sees the end of file when the other has exited (unix(7), SOCK_SEQPACKET).
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from socket import MSG_CMSG_CLOEXEC, MSG_PEEK, SCM_RIGHTS, SOL_SOCKET

from prefork.workers.protocol.messages import MAX_BODY, Kind, Message

_DESCRIPTOR = struct.Struct("i")
_ANCILLARY = socket.CMSG_SPACE(_DESCRIPTOR.size)

# Bound once: with some strategies these are needed for every request.
_KINDS = {int(kind): kind for kind in Kind}
_FIRST_BYTE = {kind: bytes([kind]) for kind in Kind}


class Channel:
    """One end of the pair. Only `wait()` and `send_surely()` can block."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.hung_up = False
        self.broken = False  # whether a send has shown that the other side is closed
        sock.setblocking(False)

    @classmethod
    def over(cls, fd: int) -> Channel:
        """Make a channel from a received descriptor."""
        return cls(socket.socket(fileno=fd))

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Return the master's end and the worker's."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message) -> bool:
        """Send a message, and return whether it was sent.

        It is not sent if the other side has exited (which is noticed elsewhere), if its buffer is
        full, or if the kernel cannot hold the descriptor (unix(7): ETOOMANYREFS).
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
            # The other side exited with an unread message in its buffer. The error is reported once
            # (unix(7)); the messages that it had sent can still be read.
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

    def hang_up(self) -> None:
        """Make this side see the end of file, as if the other had exited; for signal handlers."""
        self.hung_up = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self._sock.close()
