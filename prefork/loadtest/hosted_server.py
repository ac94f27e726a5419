"""A running server under test: its trials, and what it prints when a request fails."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefork.loadtest.drivers import Drivers, Progress
from prefork.loadtest.machine import busy_seconds
from prefork.loadtest.process_tree import used_by_tree, waited_by_tree
from prefork.loadtest.processes import ChildFailed
from prefork.loadtest.protocol import Exchange, Measured, Order
from prefork.loadtest.trials import Trial

SETTLING = 0.01
"""Seconds that a server is given after the last answer to clean up and reap its children."""
NOTICED = 0.1
"""Seconds that a master is given after an empty answer to notice that the worker died on the
request."""
REPORTED = re.compile(
    r"^(Exception occurred during processing of request from|Worker \d+ \(.*\) .* while serving) ",
    re.MULTILINE,
)
"""What `handle_error()` prints before the traceback, as documented; and what a master logs about a
worker that dies while it serves a request."""
ABOVE = re.compile(rf'  File "({re.escape(str(Path(__file__).parents[1]))}/|.*/socketserver\.py")')
"""A stack frame of this package or of the standard library's module."""
LONGEST = 40
"""Maximum number of lines shown of a traceback."""
LAST = 5
"""The number of lines shown of a log without a traceback."""


class RequestFailed(RuntimeError):
    """The first request to a server failed; the message says how, with the handler's traceback."""


@dataclass
class HostedServer:
    """A server under test, and its title in reports."""

    title: str
    pid: int
    address: Any
    log: Path
    tail: float = 0.0
    """Seconds by which its last trial was longer than planned."""
    complaint: str = ""
    """The clients' reason for the first failed trial, and what the server printed."""

    def run_trial(
        self, drivers: Drivers, order: Order, progress: Progress = lambda share: None
    ) -> Trial:
        """Put the server under load once.

        Errors: `ChildFailed` if the server or a client process has exited.
        """
        os.truncate(self.log, 0)
        began = time.monotonic()
        try:
            before, busy_before = self._spent(drivers), busy_seconds()
            measured = drivers.drive(order, progress)
            time.sleep(SETTLING)
            cpu, clients_cpu, waited, clients_waited = (
                now - then for now, then in zip(self._spent(drivers), before, strict=True)
            )
            elapsed = time.monotonic() - began
            others = (busy_seconds() - busy_before - cpu - clients_cpu) / elapsed
            self.tail = max(0.0, elapsed - order.warm_up - order.seconds)
        except ProcessLookupError:
            raise ChildFailed(f"The server {self.title!r} has exited.\n{self.printed}") from None
        if measured.failures and not self.complaint:
            self.complaint = "\n".join(filter(None, [measured.reason.strip(), self.printed]))
        return Trial(measured, cpu, clients_cpu, waited, clients_waited, max(0.0, others))

    def _spent(self, drivers: Drivers) -> tuple[float, float, float, float]:
        """Return the seconds so far, in the order of the fields of a `Trial`."""
        return used_by_tree(self.pid), drivers.used(), waited_by_tree(self.pid), drivers.waited()

    def first_request(self, drivers: Drivers, exchange: Exchange, own_client: bool) -> Measured:
        """Send one request. An empty answer is accepted only if no error was reported.

        Errors: `RequestFailed`, `ChildFailed`.
        """
        measured = self.run_trial(drivers, Order(self.address, 1, exchange=exchange)).measured
        if not (measured.failures or measured.received or own_client):
            time.sleep(NOTICED)
        if not measured.failures and not self.reports_an_error:
            return measured
        complaint = "\n".join(filter(None, [measured.reason.strip(), self.printed]))
        raise RequestFailed(f"The first request failed ({self.title}):\n{complaint}")

    @property
    def reports_an_error(self) -> bool:
        """Whether the handler raised an exception in this trial or killed its worker.

        This includes what happened after the answer.
        """
        return REPORTED.search(self._log) is not None

    @property
    def printed(self) -> str:
        """The first traceback in the server's output, or the end of the output."""
        return handlers_part(self._log)

    @property
    def _log(self) -> str:
        return self.log.read_text(errors="replace")


def handlers_part(log: str) -> str:
    """Return the first traceback in a log, without frames above the handler, or the log's end."""
    lines = log.strip().splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("Traceback (")), None)
    if first is None:
        return "\n".join(lines[-LAST:])
    # Up to the exception itself, which is the first line that is not indented.
    ends = (n for n in range(first + 1, len(lines)) if lines[n][:1] not in ("", " "))
    shown = lines[first : next(ends, len(lines)) + 1]
    frames = [n for n, line in enumerate(shown) if line.startswith('  File "')]
    own = next((n for n in frames if not ABOVE.match(shown[n])), None)
    return "\n".join([shown[0], *(shown[own:] if own is not None else shown[1:])][:LONGEST])
