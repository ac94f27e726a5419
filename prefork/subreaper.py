"""Taking in orphans, for the moment in which one of ours is born elsewhere."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

_SET, _GET = 36, 37  # PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER (prctl(2), Linux 3.4)


class _Flag:
    """The attribute of this process, and how many want it set; it is put back as it was.

    Not for longer than needed: the orphans of programs that handlers start would come here as well,
    and nobody would ever collect them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted_by = 0
        self._before = 0

    def take(self) -> None:
        with self._lock:
            if not self._wanted_by:
                before = ctypes.c_int()
                _prctl(_GET, ctypes.byref(before))
                _prctl(_SET, ctypes.c_ulong(1))
                self._before = before.value
            self._wanted_by += 1

    def give_back(self) -> None:
        with self._lock:
            self._wanted_by -= 1
            if not self._wanted_by:
                _prctl(_SET, ctypes.c_ulong(self._before))


_flag = _Flag()


def _forget_in_child() -> None:
    """The attribute is not inherited (prctl(2))."""
    global _flag
    _flag = _Flag()


os.register_at_fork(after_in_child=_forget_in_child)


@contextlib.contextmanager
def taking_in_orphans() -> Iterator[None]:
    """In the block, orphaned descendants become children of this process.

    Errors: `OSError` where the kernel does not allow it.
    """
    flag = _flag
    flag.take()
    try:
        yield
    finally:
        if flag is _flag:  # not in a child that was forked in the block
            flag.give_back()


def _prctl(option: int, argument: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(option, argument, zero, zero, zero):
        error = ctypes.get_errno()
        raise OSError(error, f"prctl: {os.strerror(error)}")
