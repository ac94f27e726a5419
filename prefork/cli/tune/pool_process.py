"""The pool of a sweep, in a process of its own: standard input sets its size.

A single pool grows and shrinks, in place of a pool per size, so that memory never exceeds what the
largest size needs.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefork.cli.measuring.jobs import Job
from prefork.cli.outcomes import Refusal
from prefork.cli.target.opening import find, open_server
from prefork.loadtest.hosting import Announcement, end_workers, print_into
from prefork.loadtest.processes import own_output, say
from prefork.socketserver import BaseServer
from prefork.socketserver.loop import serve_forever
from prefork.state.exit_reports import StartError

ORDERS = 0
"""Standard input, with a number of workers in each line."""
POLL_INTERVAL = 0.5
BEHIND_CLIENTS = 10
"""Added to the pool's nice value, nice(2). If clients competed with hundreds of workers on equal
terms, they would rarely get a core, and the pool would wait for them; in production, clients are on
other machines."""


class Orders(BaseServer):
    """One more server in the loop, whose requests are new sizes for the pool.

    It confirms a size with a line when the pool has reached it.
    """

    def __init__(self, pool: Any, answers: int) -> None:
        super().__init__("orders", lambda *_: None)
        self.ended = False
        self._pool = pool
        self._answers = answers
        self._unread = b""
        self._wanted = 0

    def fileno(self) -> int:
        return ORDERS

    def service_actions(self) -> None:
        if self._wanted and self._pool.prefork_is_complete():
            say(str(self._wanted), self._answers)
            self._wanted = 0

    def _handle_request_noblock(self) -> None:
        data = os.read(ORDERS, 1024)
        *lines, self._unread = (self._unread + data).split(b"\n")
        if not data:
            self.ended = True
            self.shutdown()
        elif lines:
            self._wanted = self._pool.max_children = int(lines[-1])


def main() -> None:
    """Announce the pool of `JOB`, the only argument; serve until standard input ends."""
    job = Job.of(sys.argv[1])
    answers = own_output()
    os.nice(BEHIND_CLIENTS)
    try:
        given, handler = find(job.target, job.options)
        with tempfile.TemporaryDirectory(prefix="prefork-tune-") as folder:
            serve(job, given, handler, Path(folder), answers)
    except (Refusal, StartError) as error:
        say(Announcement(refusal=str(error)).line(), answers)
        raise SystemExit(1) from None


def serve(job: Job, given: Any, handler: Any, folder: Path, answers: int) -> None:
    """Announce the pool on `answers`, and serve until standard input ends.

    Errors: `Refusal`, `StartError`.
    """
    log, address = folder / "log", job.address
    print_into(log)
    if not address.is_ip:
        address = replace(address, path=str(folder / "sock"))
    options = replace(job.options, max_children=1, settings={"sizing": "static"})
    pool = open_server(job.target, given, handler, address, options)
    threads = pool.prefork_threads()
    announcement = Announcement(
        pid=os.getpid(),
        address=pool.server_address,
        log=str(log),
        threads=1 if threads is None else threads,
    )
    say(announcement.line(), answers)
    orders = Orders(pool, answers)
    try:
        serve_forever([pool, orders], POLL_INTERVAL)
    finally:
        end_workers(pool)
    pool.socket.close()
    while not orders.ended and os.read(ORDERS, 1024):
        pass  # a handler has stopped its server; the clients will report it
