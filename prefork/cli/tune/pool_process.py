"""The pool that is swept, in a process of its own: its size is told on standard input.

One pool that grows and shrinks, and not one for each size: never is more memory taken than the
largest needs.
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
from prefork.socketserver.pool.mixin import master_of
from prefork.state.reports import StartError

ORDERS = 0
"""Standard input: a number of workers in each line."""
POLL_INTERVAL = 0.5
BEHIND_CLIENTS = 10
"""Added to the pool's nice value, nice(2). Beside hundreds of workers that want a core its clients
would get few turns on it, and the pool would wait for them; in earnest they are elsewhere."""


class Orders(BaseServer):
    """One more server in the loop, whose requests are the sizes that the pool shall have.

    When it has the size it says so, with a line.
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
        if self._wanted and stands(self._pool, self._wanted):
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


def stands(pool: Any, workers: int) -> bool:
    """Whether there are so many and no more, and those that shall stand ready do."""
    states = [status.state for status in pool.prefork_status()]
    ready = sum(state in ("idle", "busy") for state in states)
    master = master_of(pool)
    return (
        master is not None
        and master.strategy.persistent(workers) <= ready
        and len(states) <= workers
    )


def main() -> None:
    """`JOB`: announce the pool on standard output, serve until standard input ends."""
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
    """Errors: `Refusal`, `StartError`."""
    log, address = folder / "log", job.address
    print_into(log)
    if not address.is_ip:
        address = replace(address, path=str(folder / "sock"))
    options = replace(job.options, max_children=1, said={"sizing": "static"})
    pool = open_server(job.target, given, handler, address, options)
    threads = pool.prefork_settings.threads if pool._prefork_has_threads() else 1
    announcement = Announcement(
        pid=os.getpid(), address=pool.server_address, log=str(log), threads=threads
    )
    say(announcement.line(), answers)
    orders = Orders(pool, answers)
    try:
        serve_forever([pool, orders], POLL_INTERVAL)
    finally:
        end_workers(pool)
    pool.socket.close()
    while not orders.ended and os.read(ORDERS, 1024):
        pass  # a handler has stopped its server; the clients will say so
