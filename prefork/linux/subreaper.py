"""Makes this process a child subreaper while another process forks a child for it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from prefork.linux import prctl


class _Flag:
    """Sets the attribute of this process while an owner needs it, and restores it afterwards.

    It is not set for longer than necessary: the orphans of programs that handlers start would also
    become children of this process, and remain zombies.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted_by: set[object] = set()
        self._before: bool | None = None  # known while it may have been changed

    def take(self, owner: object) -> None:
        with self._lock:
            self._wanted_by.add(owner)
            if self._before is None:
                self._before = prctl.adopts_orphans()
            prctl.adopt_orphans(True)

    def give_back(self, owner: object) -> None:
        """Undo `take()`, even if an exception interrupted it."""
        with self._lock:
            self._wanted_by.discard(owner)
            if not self._wanted_by and self._before is not None:
                prctl.adopt_orphans(self._before)
                self._before = None


_flag = _Flag()


def _forget_in_child() -> None:
    """Start with a new record in a child, which does not inherit the attribute (prctl(2))."""
    global _flag
    _flag = _Flag()


os.register_at_fork(after_in_child=_forget_in_child)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """Adopt orphaned descendants in the block: they become children of this process.

    Errors: `OSError` if the kernel does not allow it.
    """
    flag, owner = _flag, object()
    try:
        flag.take(owner)
        yield
    finally:
        if flag is _flag:  # not in a child that was forked in the block
            flag.give_back(owner)
