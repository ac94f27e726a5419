"""How many requests a worker with threads has in hand, and whether there is room for one more."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable

from prefork.workers.protocol.scoreboard import Slot


class InFlight:
    """Counts requests in and out; its descriptor is readable when one has left.

    `bound` is how many may be inside at a time, 0 for no limit. `daemon_threads` says whether the
    end of the whole server may cut requests off (daemon threads).
    """

    def __init__(self, bound: int, daemon_threads: bool, slot: Slot) -> None:
        self.daemon_threads = daemon_threads
        self._bound = bound
        self._slot = slot
        self._inside: set[int] = set()
        self._lock = threading.Lock()
        self.on_finished: Callable[[], object] = lambda: None  # called when a request has left
        self._finished = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._finished

    def enter(self, key: int, client_address: object) -> None:
        """The request known by `key` is in hand; said twice, it still counts once."""
        with self._lock:
            if key not in self._inside:
                self._inside.add(key)
                self._slot.take(client_address, len(self._inside))

    def leave(self, key: int) -> None:
        with self._lock:
            if key not in self._inside:
                return
            self._inside.discard(key)
            self._slot.done_of_many(len(self._inside))
        os.eventfd_write(self._finished, 1)
        self.on_finished()

    def clear_finished(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._finished)

    def wait_for_finished(self) -> None:
        poll = select.poll()
        poll.register(self._finished, select.POLLIN)
        poll.poll()
        self.clear_finished()

    def wait_until_empty(self) -> None:
        while self._inside:
            self.wait_for_finished()

    def close_in_child(self) -> None:
        """In a process forked from this worker: drop the descriptor."""
        os.close(self._finished)

    @property
    def full(self) -> bool:
        return 0 < self._bound <= len(self._inside)
