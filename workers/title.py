"""The process title of a worker, as `ps` shows it; updated at most once a second."""

from __future__ import annotations

import time

from prefork.workers.protocol.scoreboard import Slot, State

INTERVAL = 1_000_000_000
"""Nanoseconds between two titles of one process."""

SOON = 0.05
"""Seconds without a request after which a title changes from busy to idle."""

LATER = INTERVAL / 1e9
"""Seconds after which an idle title is updated: only its count of requests is out of date."""


def load() -> None:
    """Load the library before the fork, so that no worker has to."""
    import setproctitle  # loaded late: a pool without titles does not need it  # noqa: F401


def show_role(role: str, name: str) -> None:
    """Set the title of a fork server or a mold: `prefork: mold [app]`."""
    from setproctitle import setproctitle

    setproctitle(f"prefork: {role}" + (f" [{name}]" if name else ""))


class Title:
    """Keeps the process title up to date with the slot.

    `next_update` is the time from which the title may change again, in nanoseconds of the monotonic
    clock. `patience` is the number of seconds that a worker waits for a request before the title
    may have to change, `None` for no limit.
    """

    def __init__(self, number: int, name: str, slot: Slot, enabled: bool) -> None:
        self._start = f"prefork: worker {number}" + (f" [{name}]" if name else "")
        self._slot = slot
        self.enabled = enabled
        self.next_update: float = 0 if enabled else float("inf")
        self.patience: float | None = SOON if enabled else None

    def show(self, now: int) -> None:
        """Show what the worker is doing: `prefork: worker 2 [app] idle, 1234 served`."""
        from setproctitle import setproctitle

        reading = self._slot.read()
        doing = f"{reading.state.name.lower()} {reading.peer}".rstrip()
        setproctitle(f"{self._start} {doing}, {reading.served} served")
        self.next_update = now + INTERVAL
        self.patience = SOON if reading.state is State.BUSY else LATER

    def settle(self) -> float | None:
        """Show that the worker is idle, or return the seconds until the title may be updated."""
        now = time.monotonic_ns()
        if now < self.next_update:
            return (self.next_update - now) / 1e9
        self.show(now)
        return None
