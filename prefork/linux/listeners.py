"""What the master does to the listener that its workers share.

Nothing here holds a copy: the port becomes free when the server and its workers have let go.
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
    """A listener that is non-blocking for as long as there is a pool on it.

    The flag belongs to the open socket, not to the descriptor: every process that holds it sees it
    (fcntl(2), F_SETFL). What `gettimeout()` says does not change, and connections taken from it are
    blocking. What does not listen is left alone: handlers may read or write on it, and must wait.
    """

    def __init__(self, fd: int) -> None:
        self._socket = identity(fd)
        self._was_blocking: bool | None = None  # known while there is a pool on it

    def begin(self, fd: int) -> None:
        """Requests are going to be taken from it for a pool, perhaps again."""
        if self._was_blocking is None:
            self._was_blocking = os.get_blocking(fd)
            if _option(fd, socket.SO_ACCEPTCONN):
                os.set_blocking(fd, False)

    def is_of(self, fd: int) -> bool:
        """Whether `fd` is still that socket, and neither closed nor another in its place."""
        return fd >= 0 and identity(fd) == self._socket

    def end(self, fd: int) -> None:
        """Put the flag back."""
        if self._was_blocking is not None and self.is_of(fd):
            os.set_blocking(fd, self._was_blocking)
        self._was_blocking = None


def allow_siblings(fd: int) -> None:
    """Let other sockets of this user have the same port: the kernel spreads clients over them.

    To be said before the first client comes: what has connected earlier does not share the port
    (socket(7), SO_REUSEPORT).

    Errors: `OSError` where there is no such thing, as for a Unix socket.
    """
    with borrowed(fd) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def sibling(fd: int, backlog: int) -> socket.socket:
    """Another socket on the same port, like this one.

    Errors: `OSError` when there can be none.
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
    """Send new clients to the listener that had the port first: its siblings can be closed then,
    and nobody is cut off (socket(7): SO_ATTACH_REUSEPORT_CBPF, Linux 4.5)."""
    import ctypes  # only for those who need it: every fork has its memory to copy

    # One instruction, "return 0" (BPF_RET | BPF_K): the first of the group.
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    with contextlib.suppress(OSError), borrowed(fd) as sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)


def spread_clients(fd: int) -> None:
    """Let the kernel spread clients over all siblings, as it does by itself."""
    with contextlib.suppress(OSError), borrowed(fd) as sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_REUSEPORT_BPF, 0)


def has_pending(fds: Iterable[int]) -> bool:
    """Whether there is a request on any of the descriptors now; none on a closed one (-1)."""
    poll = select.poll()
    for fd in fds:
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def identity(fd: int) -> Identity | None:
    """What tells a socket from any other, whatever its number; `None` for a closed one (-1)."""
    if fd < 0:
        return None
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _option(fd: int, name: int) -> int | None:
    """A socket option; `None` for what is no socket."""
    try:
        with borrowed(fd) as sock:
            return sock.getsockopt(socket.SOL_SOCKET, name)
    except OSError:
        return None


class Borrowed(socket.socket):
    """A socket object over somebody's descriptor, without another: there may be none left.

    It leaves that open when it goes, whatever has made it go.
    """

    def __del__(self) -> None:
        self.detach()


@contextlib.contextmanager
def borrowed(fd: int) -> Iterator[socket.socket]:
    """A socket object over somebody's descriptor, for as long as the block runs.

    Errors: `OSError` for a closed one (-1), and for what is no socket.
    """
    if fd < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sock = Borrowed(fileno=fd)
    try:
        yield sock
    finally:
        sock.detach()
