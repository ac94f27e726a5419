"""SIGTERM and SIGINT, as the loop sees them: one more server, whose requests are the signals.

The handler only notes and nudges; the loop ends between two steps of its own. Afterwards, while the
servers are closed, a second signal has to break in: nobody looks at notes there.
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
    """Whatever is being waited for, do not."""


class StopSignals(BaseServer):
    """Ends the loop it is served in when a signal comes; `count` says how many have."""

    def __init__(self) -> None:
        super().__init__("signals", lambda *_: None)
        self.every_turn: Callable[[], None] = lambda: None
        """Called after each wake-up of the loop."""
        self.count = 0
        self._force: Callable[[], None] | None = None
        self._pid = os.getpid()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        for signo in SIGNALS:
            self._before[signo] = signal.signal(signo, self._note)

    def fileno(self) -> int:
        return self._bell

    @contextlib.contextmanager
    def breaking_in(self, force: Callable[[], None]) -> Iterator[None]:
        """Meanwhile a second signal calls `force`, wherever the program is, and a third raises
        `EndNow`. A second one that has come before counts at once."""
        self._force = force
        try:
            if self.count > 1:
                force()
            yield
        finally:
            self._force = None

    def service_actions(self) -> None:
        self.every_turn()

    def server_close(self) -> None:
        """Put the former handlers back and let go."""
        for signo, handler in self._before.items():
            signal.signal(signo, handler)
        self._before.clear()
        os.close(self._bell)

    def _handle_request_noblock(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self.shutdown()

    def _note(self, signo: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return  # a worker that is just being born, and has our handler for a moment still
        self.count += 1
        os.eventfd_write(self._bell, 1)
        if self._force is None or self.count < 2:
            return
        if self.count > 2:
            raise EndNow
        self._force()
