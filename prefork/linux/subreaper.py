"""Makes this process a child subreaper while another process forks a child for it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from prefork.linux import prctl


class _Flag:
    """The attribute of this process, and what wants it set; it is restored afterwards.

    It is not set for longer than needed: the orphans of programs that handlers start would become
    children of this process as well, and would stay zombies.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted_by: set[object] = set()
        self._before: bool | None = None  # known while it may have been changed

    def take(self, owner: object) -> None:
        with self._lock:
            self._wanted_by.add(owner)
            if self._before is None:
                self._before = prctl.takes_in_orphans()
            prctl.take_in_orphans(True)

    def give_back(self, owner: object) -> None:
        """Undo `take()`, also after an exception that interrupted it."""
        with self._lock:
            self._wanted_by.discard(owner)
            if not self._wanted_by and self._before is not None:
                prctl.take_in_orphans(self._before)
                self._before = None


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
    flag, owner = _flag, object()
    try:
        flag.take(owner)
        yield
    finally:
        if flag is _flag:  # not in a child that was forked in the block
            flag.give_back(owner)
