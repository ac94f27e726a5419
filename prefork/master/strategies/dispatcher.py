"""The dispatchers: the master takes no requests, takes all, or hands them to workers."""

from __future__ import annotations

from typing import Any

from prefork.state.worker_table import WorkerRecord, WorkerTable


class Dispatcher:
    """The master's part of a strategy. Hooks do nothing unless a derived class overrides them."""

    def wants_listener(self, most: int) -> bool:
        """Whether the master takes requests now, if `most` processes are allowed; if false, they
        wait in the backlog."""
        raise NotImplementedError

    def can_take_more(self) -> bool:
        """Whether a persistent worker has capacity for another request."""
        return False

    def place(self, request: Any, client_address: Any) -> bool:
        """Send a request that the master has taken to a persistent worker, if one has capacity.

        Return whether one had; if not, a worker is forked for the request.
        """
        return False

    def note_ready(self, record: WorkerRecord) -> None:
        """Note that a worker is ready."""

    def note_leaving(self, record: WorkerRecord) -> None:
        """Note that a worker has reached its limit and waits for the order to retire."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when `read_completions()` is due, or -1."""
        return -1

    def read_completions(self) -> None:
        """Note which requests were served."""

    def forget(self, record: WorkerRecord) -> None:
        """Note that a worker is gone."""

    def has_request_in_transit(self, record: WorkerRecord) -> bool:
        """Whether a worker was sent a request that may not be on the scoreboard yet."""
        return False

    def begin(self) -> None:
        """Note that the loop begins."""

    def close(self) -> None:
        """Close all descriptors; no worker is left."""

    def close_in_child(self) -> None:
        """Close what belongs to the master in a forked child."""


class NoDispatcher(Dispatcher):
    """The master takes no requests; workers take them."""

    def wants_listener(self, most: int) -> bool:
        return False


class ForkDispatcher(Dispatcher):
    """The master takes a request whenever another worker may be forked for it."""

    def __init__(self, pool: WorkerTable) -> None:
        self._pool = pool

    def wants_listener(self, most: int) -> bool:
        return len(self._pool) < most
