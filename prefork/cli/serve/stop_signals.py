"""SIGTERM and SIGINT as the loop sees them: one more server, whose requests are the signals.

The handler only counts the signal and wakes the loop, which ends between two of its steps. While
the servers are being closed, no loop runs, so a second signal acts from its handler.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from prefork.socketserver import BaseServer

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class EndNow(BaseException):
    """Raised by a third signal, so that the command stops waiting for workers."""


class StopSignals(BaseServer):
    """Ends the loop that serves it when a signal arrives; `count` is the number of signals."""

    def __init__(self) -> None:
        super().__init__("signals", lambda *_: None)
        self.after_wakeup: Callable[[], None] = lambda: None
        """Called after each wake-up of the loop."""
        self.count = 0
        self._force: Callable[[], None] | None = None
        self._pid = os.getpid()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        for signo in SIGNALS:
            self._before[signo] = signal.signal(signo, self._note)

    def fileno(self) -> int:
        return self._wakeup

    @contextlib.contextmanager
    def breaking_in(self, force: Callable[[], None]) -> Iterator[None]:
        """Make a second signal call `force` within the block, and a third one raise `EndNow`.

        If the second signal has already arrived, `force` is called at once.
        """
        self._force = force
        try:
            if self.count > 1:
                force()
            yield
        finally:
            self._force = None

    def service_actions(self) -> None:
        self.after_wakeup()

    def server_close(self) -> None:
        """Restore the former handlers and close the descriptor."""
        for signo, handler in self._before.items():
            signal.signal(signo, handler)
        self._before.clear()
        os.close(self._wakeup)

    def _handle_request_noblock(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wakeup)
        self.shutdown()

    def _note(self, signo: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return  # a new worker, which still has this handler for a moment
        self.count += 1
        os.eventfd_write(self._wakeup, 1)
        if self._force is None or self.count < 2:
            return
        if self.count > 2:
            raise EndNow
        self._force()
