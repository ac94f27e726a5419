"""Options that the master changes on listening sockets.

No function here keeps a duplicate of a descriptor, so the port becomes free when the server and
its workers have closed theirs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Iterable, Iterator

_SO_ATTACH_REUSEPORT_CBPF = 51
_SO_DETACH_REUSEPORT_BPF = 68

Identity = tuple[int, int]


class NonBlockingListener:
    """Makes a listener non-blocking while a pool serves from it.

    The flag belongs to the open socket, not to the descriptor: every process that holds the socket
    sees it (fcntl(2), F_SETFL). `gettimeout()` still returns the same value, and accepted
    connections are blocking. A socket that does not listen keeps its flag: handlers may read from
    it or write to it, and must be able to wait.
    """

    def __init__(self, fd: int) -> None:
        self._socket = identity(fd)
        self._was_blocking: bool | None = None  # known while a pool serves from it

    def begin(self, fd: int) -> None:
        """Make it non-blocking, and remember the flag; may be called again."""
        if self._was_blocking is None:
            self._was_blocking = os.get_blocking(fd)
            if _option(fd, socket.SO_ACCEPTCONN):
                os.set_blocking(fd, False)

    def is_of(self, fd: int) -> bool:
        """Return whether `fd` is still this socket, and not closed or reused for another one."""
        return fd >= 0 and identity(fd) == self._socket

    def end(self, fd: int) -> None:
        """Restore the flag."""
        if self._was_blocking is not None and self.is_of(fd):
            os.set_blocking(fd, self._was_blocking)
        self._was_blocking = None


def allow_siblings(fd: int) -> None:
    """Let other sockets of this user bind to the same port; the kernel spreads clients over them.

    Must be called before the first client connects: a socket that already has connections does
    not share its port (socket(7), SO_REUSEPORT).

    Errors: `OSError` for sockets without this option, such as Unix sockets.
    """
    with borrowed(fd) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def sibling(fd: int, backlog: int) -> socket.socket:
    """Return another socket of the same kind that is bound to the same port.

    Errors: `OSError` if it cannot be created or bound.
    """
    allow_siblings(fd)
    with borrowed(fd) as sock:
        other = socket.socket(sock.family, sock.type, sock.proto)
        try:
            allow_siblings(other.fileno())
            if sock.family == socket.AF_INET6:
                only = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            other.bind(sock.getsockname())
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                other.listen(backlog)
                os.set_blocking(other.fileno(), False)
        except BaseException:
            other.close()
            raise
        return other


def send_clients_to_first(fd: int) -> None:
    """Send all new clients to the listener that was bound first.

    Its siblings can then be closed without resetting a client (socket(7):
    SO_ATTACH_REUSEPORT_CBPF, Linux 4.5).
    """
    import ctypes  # loaded late: every fork copies its memory, and many pools never need it

    # One instruction, "return 0" (BPF_RET | BPF_K): the first of the group.
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    with contextlib.suppress(OSError), borrowed(fd) as sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)


def spread_clients(fd: int) -> None:
    """Let the kernel spread clients over all siblings again, as it does by default."""
    with contextlib.suppress(OSError), borrowed(fd) as sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_REUSEPORT_BPF, 0)


def has_pending(fds: Iterable[int]) -> bool:
    """Return whether a request waits at any of the descriptors; closed ones (-1) are skipped."""
    poll = select.poll()
    for fd in fds:
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def identity(fd: int) -> Identity | None:
    """Return the device and inode of a socket; `None` for a closed descriptor (-1)."""
    if fd < 0:
        return None
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _option(fd: int, name: int) -> int | None:
    """Return a socket option; `None` if the descriptor is not a socket."""
    try:
        with borrowed(fd) as sock:
            return sock.getsockopt(socket.SOL_SOCKET, name)
    except OSError:
        return None


class Borrowed(socket.socket):
    """A socket object over a descriptor that belongs to another object.

    It does not open another descriptor, since none may be left, and it never closes the one that it
    has, even when it is garbage-collected.
    """

    def __del__(self) -> None:
        self.detach()


@contextlib.contextmanager
def borrowed(fd: int) -> Iterator[socket.socket]:
    """Yield a socket object over the descriptor of another object.

    Errors: `OSError` for a closed descriptor (-1), and for one that is not a socket.
    """
    if fd < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sock = Borrowed(fileno=fd)
    try:
        yield sock
    finally:
        sock.detach()
