"""Closes master-only descriptors in every forked child, including those that the program forks.

While a child holds the master's end of a channel, the worker at the other end cannot see that the
master has exited, and would continue to serve. So every master is registered here, and closes its
descriptors in every child that inherits its memory.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """An object with descriptors that forked children inherit and must close."""

    def close_in_child(self) -> None:
        """Close the inherited copies in a child, without affecting the parent."""


_living: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def register(one: ForkAware) -> None:
    """Call `one.close_in_child()` in every forked child, as long as the object is alive."""
    _living.add(one)


def _close_in_child() -> None:
    for one in list(_living):
        # EBADF: another thread was closing it during the fork. The others are closed
        # anyway.
        with contextlib.suppress(OSError):
            one.close_in_child()


os.register_at_fork(after_in_child=_close_in_child)
