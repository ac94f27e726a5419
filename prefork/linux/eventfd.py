"""A descriptor with which a thread wakes another one that waits in a selector (eventfd(2))."""

from __future__ import annotations

import contextlib
import os
import threading


class Wakeup:
    """A descriptor that is readable from `notify()` until `clear()`.

    `notify()` may be called from any thread at any time. After `close()` it does nothing, so it
    cannot write to another descriptor that has been given the same number.
    """

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Re-entrant: a signal handler may call notify() while its thread is inside notify().
        self._lock = threading.RLock()

    def fileno(self) -> int:
        return self._fd

    def notify(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._fd >= 0:
                os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        with self._lock:
            # Cleared before it is closed: otherwise a child that another thread forks in between
            # would close another descriptor with this number.
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)

    def forget(self) -> None:
        """Close the copy of the descriptor in a forked child."""
        self._lock = threading.RLock()  # the thread that may have held it is not in this process
        self.close()

    def __enter__(self) -> Wakeup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
