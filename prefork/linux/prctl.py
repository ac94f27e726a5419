"""Attributes of this process that only prctl(2) reads and writes."""

from __future__ import annotations

import os

_SET_NAME, _GET_NAME = 15, 16
_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37

_NAME_SIZE = 16  # with the final zero


def takes_in_orphans() -> bool:
    """Return whether orphaned descendants become children of this process (Linux 3.4)."""
    import ctypes

    flag = ctypes.c_int()
    _prctl(_GET_CHILD_SUBREAPER, ctypes.addressof(flag))
    return bool(flag.value)


def take_in_orphans(flag: bool) -> None:
    """Set or clear that attribute. A forked child does not inherit it."""
    _prctl(_SET_CHILD_SUBREAPER, flag)


def name() -> bytes:
    """Return the name of this thread; that of the main thread is in /proc/PID/stat."""
    import ctypes

    buffer = ctypes.create_string_buffer(_NAME_SIZE)
    _prctl(_GET_NAME, ctypes.addressof(buffer))
    return buffer.value


def rename(name: bytes) -> None:
    """Change the name of this thread, to 15 bytes at most. A forked child inherits it."""
    import ctypes

    buffer = ctypes.create_string_buffer(name, _NAME_SIZE)
    _prctl(_SET_NAME, ctypes.addressof(buffer))


def _prctl(option: int, argument: int) -> None:
    import ctypes  # loaded late: every fork copies its memory, and many pools never need it

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, *map(ctypes.c_ulong, (argument, 0, 0, 0))):
        error = ctypes.get_errno()
        raise OSError(error, f"prctl: {os.strerror(error)}")
