"""Reads the number of requests that wait at a listener; no other module asks the kernel for it.

| listener | waiting | limit | dropped |
|---|---|---|---|
| TCP | exact | its backlog | attempts to connect while it was full |
| Unix stream, seqpacket | exact | its backlog | 0: a client waits or gets an error |
| UDP | approximate, see `charge()` | as many as fit into the buffer | exact: datagrams |
| Unix datagram | 1 for any number | `max_dgram_qlen` | 0: the same |

A queue holds one request more than its limit (Linux compares with ">"). `dropped` counts since the
socket was opened; a client whose attempt was dropped tries again, and may be counted again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Iterable
from pathlib import Path

from prefork.linux.listening_sockets import borrowed
from prefork.readings.cgroups import number
from prefork.readings.sockdiag import udp_bytes, unix_queue
from prefork.state.snapshot import Depth

_TCP_INFO = struct.Struct("=B23xII")  # tcpi_state; of a listener: queue length and limit
_TCP_LISTEN = 10
_SO_MEMINFO = 55  # Linux 4.12
_MEMORY = struct.Struct("=9I")  # SK_MEMINFO_...: bytes received, buffer, six others, drops
_INT = struct.Struct("=i")
_MOST_DATAGRAMS = Path("/proc/sys/net/unix/max_dgram_qlen")
_LONGEST_BACKLOG = Path("/proc/sys/net/core/somaxconn")

SMALLEST_CHARGE = 512
"""The minimum that any Linux kernel charges for a datagram, in bytes of the receive buffer."""

_SK_BUFF, _SHARED_INFO, _HEADERS = 256, 320, 59
_SMALL_BLOCK, _LARGEST_BLOCK = 576, 16384


NOTHING = Depth(0, None, 0)


def depth(fd: int) -> Depth:
    """Return what waits at a listener.

    It is `NOTHING` for a closed listener (-1), for a descriptor that is not a listener, and for a
    socket of another network namespace.
    """
    try:
        return _ask(fd)
    except OSError:
        return NOTHING


def total(fds: Iterable[int]) -> Depth:
    """Return the sum over several listeners; it has no limit if one of them has none."""
    found = [depth(fd) for fd in fds if fd >= 0]
    limits = [one.limit for one in found if one.limit is not None]
    return Depth(
        sum(one.waiting for one in found),
        sum(limits) if limits and len(limits) == len(found) else None,
        sum(one.dropped for one in found),
    )


def waiting_at_most(fd: int, backlog: int) -> int:
    """Return the maximum number of requests that can be waiting, for a worker that must take all.

    If the kernel does not report it, this is what its limits allow, or `backlog`.
    """
    if fd < 0:
        return 0
    try:
        with borrowed(fd) as sock:
            if sock.type != socket.SOCK_DGRAM:
                return _of_streams(sock).waiting
            if sock.family != socket.AF_UNIX:
                return _received(sock)[0] // SMALLEST_CHARGE + 1
            return _most_datagrams() + 1
    except OSError:
        return backlog + 1


def longest_backlog() -> int | None:
    """Return the kernel's upper limit for every backlog (net.core.somaxconn); `None`: unknown."""
    return number(_LONGEST_BACKLOG)


def charge(length: int) -> int:
    """Return the bytes of the receive buffer charged for a UDP datagram of `length` bytes.

    This is what the loopback device needs since Linux 6.3: a `struct sk_buff`, then headers, data
    and `struct skb_shared_info` in a block of the next power of two. A network card's driver may
    use more, such as a page; then fewer datagrams wait than `depth()` returns.
    """
    block = length + _HEADERS + _SHARED_INFO
    if block <= _SMALL_BLOCK:
        return _SK_BUFF + _SMALL_BLOCK
    if block > _LARGEST_BLOCK:  # the data has its own pages
        return _SK_BUFF + _SMALL_BLOCK + length
    return _SK_BUFF + (1 << (block - 1).bit_length())


def _ask(fd: int) -> Depth:
    """Return what waits at a listener.

    Errors: `OSError` if it is not a listener, or if the kernel does not answer.
    """
    with borrowed(fd) as sock:
        if sock.type != socket.SOCK_DGRAM:
            return _of_streams(sock)
        if sock.family == socket.AF_UNIX:
            return _of_unix_datagrams(sock)
        return _of_udp(sock)


def _of_streams(sock: socket.socket) -> Depth:
    if sock.family == socket.AF_UNIX:
        return Depth(*unix_queue(os.fstat(sock.fileno()).st_ino), 0)
    data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    state, waiting, backlog = _TCP_INFO.unpack(data)
    if state != _TCP_LISTEN:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return Depth(waiting, backlog, _memory(sock)[-1])


def _of_udp(sock: socket.socket) -> Depth:
    received, buffer, dropped = _received(sock)
    each = charge(_first_length(sock))
    return Depth(-(-received // each), buffer // each, dropped)


def _of_unix_datagrams(sock: socket.socket) -> Depth:
    """Return 0 or 1 waiting datagrams: the kernel only reports whether there is one."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return Depth(len(poll.poll(0)), _most_datagrams(), 0)


def _received(sock: socket.socket) -> tuple[int, int, int]:
    """Return a UDP socket's bytes received, size of its buffer, and datagrams dropped."""
    received, buffer, *_, dropped = _memory(sock)
    if received:
        # Up to a quarter of these may already have been read: the kernel releases them late.
        with contextlib.suppress(OSError):
            inode = os.fstat(sock.fileno()).st_ino
            received = udp_bytes(sock.family, sock.getsockname()[1], inode)
    return received, buffer, dropped


def _first_length(sock: socket.socket) -> int:
    """Return the bytes of data in the next datagram (udp(7), FIONREAD); 0 if there is none."""
    (length,) = _INT.unpack(fcntl.ioctl(sock, termios.FIONREAD, bytes(_INT.size)))
    return int(length)


def _memory(sock: socket.socket) -> tuple[int, ...]:
    data = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMORY.size)
    return _MEMORY.unpack(data)


def _most_datagrams() -> int:
    return int(_MOST_DATAGRAMS.read_text())
