"""What `ps` shows of a worker, renewed at most once a second."""

from __future__ import annotations

import time

from prefork.workers.scoreboard import Slot

INTERVAL = 1.0
"""Seconds between two titles of one process."""


class Title:
    """Keeps the process title in step with the slot, without haste.

    `due` is when it may change again, in nanoseconds of the monotonic clock.
    """

    def __init__(self, number: int, name: str, slot: Slot, enabled: bool) -> None:
        self._start = f"prefork: worker {number}" + (f" [{name}]" if name else "")
        self._slot = slot
        self._enabled = enabled
        self._shown_served = -1
        self.due: float = 0 if enabled else float("inf")

    def show(self, now: int) -> None:
        """Say what the worker does now: `prefork: worker 2 [app] idle, 1234 served`."""
        from setproctitle import setproctitle  # loaded only where titles are wanted

        reading = self._slot.read()
        doing = f"{reading.state.name.lower()} {reading.peer}".rstrip()
        setproctitle(f"{self._start} {doing}, {reading.served} served")
        self._shown_served = reading.served if not reading.peer else -1
        self.due = now + INTERVAL * 1e9

    def settle(self) -> float | None:
        """The worker goes idle: show it, or say in how many seconds it may be shown."""
        if not self._enabled or self._shown_served == self._slot.served:
            return None
        now = time.monotonic_ns()
        if now < self.due:
            return (self.due - now) / 1e9
        self.show(now)
        return None
