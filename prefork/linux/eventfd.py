"""A descriptor by which one thread wakes another that waits in a selector (eventfd(2))."""

from __future__ import annotations

import contextlib
import os
import threading


class Wakeup:
    """Readable from `notify()` until `clear()`.

    `notify()` may be called from any thread at any time, also after `close()`: a loop that has
    ended needs no waking, and a reused descriptor number is never touched by mistake.
    """

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Re-entrant: a signal handler may notify while its own thread is notifying.
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
            # Forgotten first: a child that another thread forks now closes what is not.
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)

    def forget(self) -> None:
        """In a forked child: drop its copy of the descriptor."""
        self._lock = threading.RLock()  # whoever held it is not here
        self.close()

    def __enter__(self) -> Wakeup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
