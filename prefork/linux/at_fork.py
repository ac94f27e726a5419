"""What a forked child must not keep, whoever forks it.

While a child holds the master's end of a channel, the worker at the other end cannot see that the
master is gone, and would serve on for ever. So every master is known here, and lets go in every
child that is forked with its memory.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """Something of this process that its children inherit, and shall drop."""

    def close_in_child(self) -> None:
        """In a child: drop it, without touching what the parent has."""


_living: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def register(one: ForkAware) -> None:
    """Have it dropped in every child, as long as somebody refers to it."""
    _living.add(one)


def _close_in_child() -> None:
    for one in list(_living):
        # EBADF: another thread was closing it when the fork came. The others must go all the same.
        with contextlib.suppress(OSError):
            one.close_in_child()


os.register_at_fork(after_in_child=_close_in_child)
