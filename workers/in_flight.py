"""The requests that a worker with threads is serving, with a record of each.

The scoreboard shows one request of each worker, and of several the oldest: if the worker is stuck,
that is the request to look at.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable

from prefork.workers.protocol.scoreboard import Slot


class Request:
    """One request in flight.

    `started` is in nanoseconds of the monotonic clock; `thread` is the identifier of the thread
    that serves it, `None` until that thread has started.
    """

    __slots__ = ("client_address", "label", "started", "thread")

    def __init__(self, client_address: object) -> None:
        self.client_address = client_address
        self.label = ""
        self.started = time.monotonic_ns()
        self.thread: int | None = None


class InFlight:
    """Keeps track of requests in flight; its descriptor is readable when a request has been served.

    `bound` is the maximum number of requests in flight, 0 for no limit. `daemon_threads` says
    whether requests may be aborted when the server stops.
    """

    def __init__(self, bound: int, daemon_threads: bool, slot: Slot) -> None:
        self.daemon_threads = daemon_threads
        self._bound = bound
        self._slot = slot
        self._requests: dict[int, Request] = {}  # the oldest first
        self._lock = threading.Lock()
        self.on_finished: Callable[[], object] = lambda: None  # a request was served
        self._finished = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._finished

    def enter(self, key: int, client_address: object) -> None:
        """Add the request identified by `key`, unless it has been added already."""
        with self._lock:
            self._enter(key, client_address)

    def serve(self, key: int, client_address: object) -> None:
        """Note that the calling thread serves the request; add it if necessary."""
        with self._lock:
            self._enter(key, client_address).thread = threading.get_ident()

    def leave(self, key: int) -> None:
        """Remove a request that has been served."""
        with self._lock:
            if self._requests.pop(key, None) is None:
                return
            if self._requests:
                oldest = self._oldest()
                self._slot.done_of_many(
                    len(self._requests), oldest.client_address, oldest.started, oldest.label
                )
            else:
                self._slot.done()
        os.eventfd_write(self._finished, 1)
        self.on_finished()

    def label(self, text: str) -> bool:
        """Label the request that the calling thread serves; return whether it serves one."""
        thread = threading.get_ident()
        with self._lock:
            for request in self._requests.values():
                if request.thread == thread:
                    request.label = text
                    if request is self._oldest():
                        self._slot.label(text)
                    return True
        return False

    def clear_finished(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._finished)

    def wait_for_finished(self) -> None:
        poll = select.poll()
        poll.register(self._finished, select.POLLIN)
        poll.poll()
        self.clear_finished()

    def wait_until_empty(self) -> None:
        while self._requests:
            self.wait_for_finished()

    def close_in_child(self) -> None:
        """Close the descriptor in a process forked from this worker."""
        os.close(self._finished)

    @property
    def full(self) -> bool:
        return 0 < self._bound <= len(self._requests)

    def _enter(self, key: int, client_address: object) -> Request:
        request = self._requests.get(key)
        if request is None:
            request = self._requests[key] = Request(client_address)
            self._slot.take(self._oldest().client_address, len(self._requests))
        return request

    def _oldest(self) -> Request:
        return next(iter(self._requests.values()))
