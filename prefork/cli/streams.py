"""Keeps serving when a standard stream is closed or its reader has exited."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def keep_standard_descriptors() -> None:
    """Make sure that descriptors 0, 1 and 2 are open, and `sys.stdout` and `sys.stderr` exist.

    Otherwise the first sockets would get these numbers, and output to standard error would go to a
    client.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # It gets the lowest free number; child programs inherit it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:  # the interpreter found 1 closed
        sys.stdout = stream_on(1)
    if sys.stderr is None:
        sys.stderr = stream_on(2)


def outlive_readers() -> None:
    """Make sure that writing to standard output and standard error never fails.

    A master logs for months, and its workers report errors of handlers: neither must exit because
    the reader of a pipe has exited or a disk is full.
    """
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        try:
            ordinary = stream.fileno() == descriptor
        except (OSError, ValueError, AttributeError):
            continue  # the program has replaced it
        if ordinary:
            stream.flush()
            setattr(sys, name, stream_on(descriptor))


def stream_on(descriptor: int) -> io.TextIOWrapper:
    """Return a text stream, buffered as usual, that drops what cannot be written."""
    raw = _Unfailing(descriptor, "w", closefd=False)
    lines = descriptor == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), errors="backslashreplace", line_buffering=lines)


class _Unfailing(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(memoryview(data).cast("B"))
