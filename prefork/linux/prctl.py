"""Attributes of this process that only prctl(2) reads and writes."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SET_NAME, _GET_NAME = 15, 16
_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37

_NAME_SIZE = 16  # including the final zero byte

_ctypes: Any = None
_libc: Any = None


def load() -> None:
    """Load `ctypes`; a process that forks may be unable to later (chroot(2), no descriptors).

    Loaded late: every fork copies its memory, and many pools never need it.
    """
    global _ctypes, _libc
    if _libc is None:
        import ctypes

        _ctypes, _libc = ctypes, ctypes.CDLL(None, use_errno=True)


def adopts_orphans() -> bool:
    """Return whether orphaned descendants become children of this process (Linux 3.4)."""
    load()
    flag = _ctypes.c_int()
    _prctl(_GET_CHILD_SUBREAPER, _ctypes.addressof(flag))
    return bool(flag.value)


def adopt_orphans(flag: bool) -> None:
    """Set or clear that attribute. A forked child does not inherit it."""
    _prctl(_SET_CHILD_SUBREAPER, flag)


def name() -> bytes:
    """Return the name of this thread; that of the main thread is in /proc/PID/stat."""
    load()
    buffer = _ctypes.create_string_buffer(_NAME_SIZE)
    _prctl(_GET_NAME, _ctypes.addressof(buffer))
    value: bytes = buffer.value
    return value


def rename(name: bytes) -> None:
    """Change the name of this thread; at most 15 bytes. A forked child inherits it."""
    load()
    buffer = _ctypes.create_string_buffer(name, _NAME_SIZE)
    _prctl(_SET_NAME, _ctypes.addressof(buffer))


def _prctl(option: int, argument: int) -> None:
    load()
    if _libc.prctl(option, *map(_ctypes.c_ulong, (argument, 0, 0, 0))):
        error = _ctypes.get_errno()
        raise OSError(error, f"prctl: {os.strerror(error)}")
