"""A descriptor by which one thread wakes another that waits in a selector (eventfd(2))."""

from __future__ import annotations

import contextlib
import os
import threading


class Wakeup:
    """A descriptor that is readable from `notify()` until `clear()`.

    `notify()` may be called from any thread at any time. After `close()` it does nothing, so it
    cannot write to a descriptor that has got the same number.
    """

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Re-entrant: a signal handler may call notify() while its own thread is in there.
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
            # Cleared first: a child that another thread forks now closes what is still set.
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)

    def forget(self) -> None:
        """In a forked child: close its copy of the descriptor."""
        self._lock = threading.RLock()  # the thread that may have held it is not in this process
        self.close()

    def __enter__(self) -> Wakeup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
