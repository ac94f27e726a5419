"""Standard streams that are closed, or whose reader has gone, are no reason to stop serving."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def keep_standard_descriptors() -> None:
    """Make sure that 0, 1 and 2 are taken, and that `sys.stdout` and `sys.stderr` are there.

    Otherwise the first sockets would get these numbers, and whoever writes to standard error would
    write to a client.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free; programs that are started have it too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:  # what the interpreter does when it finds 1 closed
        sys.stdout = stream_on(1)
    if sys.stderr is None:
        sys.stderr = stream_on(2)


def outlive_readers() -> None:
    """From now on writing to standard output or error never fails.

    A master writes a log for months, and its workers report errors of handlers: neither may end
    because the reader of a pipe, or the space on a disk, did.
    """
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        try:
            ordinary = stream.fileno() == descriptor
        except (OSError, ValueError, AttributeError):
            continue  # somebody has put another object there
        if ordinary:
            stream.flush()
            setattr(sys, name, stream_on(descriptor))


def stream_on(descriptor: int) -> io.TextIOWrapper:
    """A text stream, buffered as usual, that swallows what cannot be written."""
    raw = _Unfailing(descriptor, "w", closefd=False)
    lines = descriptor == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), errors="backslashreplace", line_buffering=lines)


class _Unfailing(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(memoryview(data).cast("B"))
