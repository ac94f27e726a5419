"""Signals kept away for a moment."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator

Mask = set[int | signal.Signals]

EVERY = signal.valid_signals()

# What `signal.pthread_sigmask()` is made of; that one makes an enum of each of the 64 signals of
# the old mask, which takes 50 µs each time a mask is put back.
change_mask: Callable[[int, Iterable[int]], Mask] = _signal.pthread_sigmask


class _Outermost(threading.local):
    mask: Mask | None = None


_outermost = _Outermost()


@contextlib.contextmanager
def held_back() -> Iterator[Mask]:
    """Let no signal reach this thread in the block; gives the mask as it is outside.

    A KeyboardInterrupt, or whatever else a handler raises, would leave books half written, or a
    request with nobody. Where the process has other threads the kernel may choose one of them, and
    Python runs the handler here all the same (pthread_sigmask(3)): what is half done must come
    right the next time.
    """
    if _outermost.mask is not None:
        yield _outermost.mask
        return
    mask = _outermost.mask = change_mask(signal.SIG_BLOCK, ())
    try:
        # This call runs the handlers that are due, and may raise what they raise: in the block.
        change_mask(signal.SIG_BLOCK, EVERY)
        yield mask
    finally:
        let_through(mask)


def let_through(mask: Mask) -> None:
    """Put the mask back; in a process forked in such a block, which it never leaves."""
    _outermost.mask = None
    change_mask(signal.SIG_SETMASK, mask)
