"""Blocks all signals for a short section of code."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
import threading
from collections.abc import Callable, Iterable

Mask = set[int | signal.Signals]

EVERY = signal.valid_signals()

# The function below `signal.pthread_sigmask()`. That one converts each of the 64 signals of the old
# mask to an enum, which takes 50 µs each time a mask is restored.
change_mask: Callable[[int, Iterable[int]], Mask] = _signal.pthread_sigmask


class _Outermost(threading.local):
    mask: Mask | None = None


_outermost = _Outermost()


class signals_blocked:
    """Block all signals of this thread in the `with` block; yields the mask outside of it.

    Otherwise a KeyboardInterrupt, or another exception of a signal handler, could leave records
    half written, or a request that no process serves. In a process with other threads, the kernel
    may deliver the signal to one of them, and Python still runs the handler in the main thread
    (pthread_sigmask(3)): so the next call must complete what was interrupted.
    """

    __slots__ = ("_mask",)

    def __enter__(self) -> Mask:
        if (outside := _outermost.mask) is not None:
            self._mask = None
            return outside
        mask = self._mask = _outermost.mask = change_mask(signal.SIG_BLOCK, ())
        try:
            # This call runs the handlers of pending signals, and may raise their exceptions.
            change_mask(signal.SIG_BLOCK, EVERY)
        except BaseException:
            restore_mask(mask)
            raise
        return mask

    def __exit__(self, *_: object) -> None:
        if self._mask is not None:
            restore_mask(self._mask)


class signals_unblocked:
    """Restore the outer mask for a part of a `signals_blocked` block, such as a long wait."""

    __slots__ = ()

    def __enter__(self) -> None:
        if (outside := _outermost.mask) is not None:
            change_mask(signal.SIG_SETMASK, outside)

    def __exit__(self, *_: object) -> None:
        if _outermost.mask is not None:
            change_mask(signal.SIG_BLOCK, EVERY)


def restore_mask(mask: Mask) -> None:
    """Restore the mask in a process that was forked in such a block and never leaves it."""
    _outermost.mask = None
    change_mask(signal.SIG_SETMASK, mask)
