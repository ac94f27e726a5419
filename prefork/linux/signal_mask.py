"""Signals kept away for a moment."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
import threading
from collections.abc import Callable, Iterable

Mask = set[int | signal.Signals]

EVERY = signal.valid_signals()

# What `signal.pthread_sigmask()` is made of; that one makes an enum of each of the 64 signals of
# the old mask, which takes 50 µs each time a mask is put back.
change_mask: Callable[[int, Iterable[int]], Mask] = _signal.pthread_sigmask


class _Outermost(threading.local):
    mask: Mask | None = None


_outermost = _Outermost()


class signals_blocked:
    """Let no signal reach this thread in the block; gives the mask as it is outside.

    A KeyboardInterrupt, or whatever else a handler raises, would leave books half written, or a
    request with nobody. Where the process has other threads the kernel may choose one of them, and
    Python runs the handler here all the same (pthread_sigmask(3)): what is half done must come
    right the next time.
    """

    __slots__ = ("_mask",)

    def __enter__(self) -> Mask:
        if (outside := _outermost.mask) is not None:
            self._mask = None
            return outside
        mask = self._mask = _outermost.mask = change_mask(signal.SIG_BLOCK, ())
        try:
            # This call runs the handlers that are due, and may raise what they raise.
            change_mask(signal.SIG_BLOCK, EVERY)
        except BaseException:
            restore_mask(mask)
            raise
        return mask

    def __exit__(self, *_: object) -> None:
        if self._mask is not None:
            restore_mask(self._mask)


class signals_unblocked:
    """Let signals through in a part of such a block after all, as for a long wait."""

    __slots__ = ()

    def __enter__(self) -> None:
        if (outside := _outermost.mask) is not None:
            change_mask(signal.SIG_SETMASK, outside)

    def __exit__(self, *_: object) -> None:
        if _outermost.mask is not None:
            change_mask(signal.SIG_BLOCK, EVERY)


def restore_mask(mask: Mask) -> None:
    """Put the mask back; in a process forked in such a block, which it never leaves."""
    _outermost.mask = None
    change_mask(signal.SIG_SETMASK, mask)
