"""What `ps` shows of a worker, renewed at most once a second."""

from __future__ import annotations

import time

from prefork.workers.protocol.scoreboard import Slot, State

INTERVAL = 1_000_000_000
"""Nanoseconds between two titles of one process."""

SOON = 0.05
"""Seconds without a request after which a worker that has said busy counts as idle, and says so."""

LATER = INTERVAL / 1e9
"""The same if it had said idle: only how many it has served is out of date."""


def load() -> None:
    """Load what writes titles; done before the fork, so that no worker has to."""
    import setproctitle  # not before a pool wants titles: the rest works without  # noqa: F401


def show_role(role: str, name: str) -> None:
    """The title of a process that is no worker: `prefork: fork_server [app]`."""
    from setproctitle import setproctitle

    setproctitle(f"prefork: {role}" + (f" [{name}]" if name else ""))


class Title:
    """Keeps the process title in step with the slot, without haste.

    `next_update` is when it may change again, in nanoseconds of the monotonic clock; `patience` the
    seconds that a worker waits for a request before it may have something to show, `None` for ever.
    """

    def __init__(self, number: int, name: str, slot: Slot, enabled: bool) -> None:
        self._start = f"prefork: worker {number}" + (f" [{name}]" if name else "")
        self._slot = slot
        self.enabled = enabled
        self.next_update: float = 0 if enabled else float("inf")
        self.patience: float | None = SOON if enabled else None

    def show(self, now: int) -> None:
        """Say what the worker does now: `prefork: worker 2 [app] idle, 1234 served`."""
        from setproctitle import setproctitle

        reading = self._slot.read()
        doing = f"{reading.state.name.lower()} {reading.peer}".rstrip()
        setproctitle(f"{self._start} {doing}, {reading.served} served")
        self.next_update = now + INTERVAL
        self.patience = SOON if reading.state is State.BUSY else LATER

    def settle(self) -> float | None:
        """The worker is idle: show that, or return in how many seconds it may be shown."""
        now = time.monotonic_ns()
        if now < self.next_update:
            return (self.next_update - now) / 1e9
        self.show(now)
        return None
