"""The master's title in `ps`: `prefork: master [app] 127.0.0.1:9999 4/8 busy`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from prefork.cli.addresses import shown
from prefork.socketserver.loop import members_of

INTERVAL = 1.0
"""Seconds between two updates."""


class MasterTitle:
    """Updates the title when it changes, at most once a second.

    If there are no servers, the process keeps its title.
    """

    def __init__(
        self, name: str, servers: Sequence[Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._start = f"prefork: master [{name}] " if name else "prefork: master "
        self._servers = servers
        self._addresses = [
            " + ".join(shown(member.server_address) for member in members_of(server))
            for server in servers
        ]
        self._clock = clock
        self._due = 0.0
        self._last = ""
        self._ending = ""

    def show(self) -> None:
        now = self._clock()
        if now >= self._due:
            self._due = now + INTERVAL
            self._put(self.text())

    def show_the_end(self) -> None:
        """Show at once that the pools are draining; this title stays."""
        self._ending = ", draining"
        self._put(self.text())

    def _put(self, text: str) -> None:
        if self._servers and text != self._last:
            from setproctitle import setproctitle

            setproctitle(text)
            self._last = text

    def text(self) -> str:
        pools = (
            f"{address} {busy(server)}/{server.max_children} busy"
            for address, server in zip(self._addresses, self._servers, strict=True)
        )
        return self._start + ", ".join(pools) + self._ending


def busy(server: Any) -> int:
    """Return the number of workers with a request in flight."""
    return sum(status.in_flight > 0 for status in server.prefork_status())
