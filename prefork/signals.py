"""Signals kept away for a moment."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

EVERY = signal.valid_signals()


@contextlib.contextmanager
def held_back() -> Iterator[set[int | signal.Signals]]:
    """Let no signal reach this thread in the block; gives the mask as it was.

    A KeyboardInterrupt, or whatever else a handler raises, would leave books half written. Where
    the process has other threads the kernel may choose one of them, and Python runs the handler
    here all the same (pthread_sigmask(3)): what is half done must come right the next time.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, EVERY)
    try:
        yield mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
