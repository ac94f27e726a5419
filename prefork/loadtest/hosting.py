"""Announces, logs and ends servers under test, which run in their own processes.

The output of a server and its workers goes to a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefork.loadtest.processes import ChildFailed, StartRefused

START = 60.0
"""Seconds in which servers must bind, and workers must become ready."""


@dataclass(frozen=True)
class Announcement:
    """Tells that a server is bound, or why not.

    If there is neither a pid nor a refusal, the server was left out: its class has no counterpart
    in the standard library.
    """

    place: int = 0
    pid: int = 0
    address: Any = None
    log: str = ""
    refusal: str = ""
    threads: int = 1
    """Requests that a worker serves concurrently; 0: no limit."""

    def line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, line: str) -> Announcement:
        """Parse a line.

        Errors: `StartRefused` if the line is a refusal.
        """
        one = cls(**json.loads(line))
        if one.refusal:
            raise StartRefused(one.refusal)
        return one

    @property
    def socket_address(self) -> Any:
        """The address for `connect()`: host and port, or a path."""
        return tuple(self.address[:2]) if isinstance(self.address, list) else self.address


def lines_of(process: subprocess.Popen[str], missing: str) -> Iterator[str]:
    """Yield the lines that a child writes to its standard output, each within `START` seconds.

    Errors: `ChildFailed`, with the sentence `missing`, if the next line does not arrive.
    """
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    unread = b""
    while True:
        deadline = time.monotonic() + START
        while b"\n" not in unread:
            left = max(0.0, deadline - time.monotonic())
            data = (
                os.read(descriptor, 1 << 16)
                if select.select([descriptor], [], [], left)[0]
                else b""
            )
            if not data:
                raise ChildFailed(missing)
            unread += data
        line, _, unread = unread.partition(b"\n")
        yield line.decode()


def print_into(log: Path) -> None:
    """Redirect standard output and error of this process to a file."""
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def end_workers(server: Any) -> None:
    """Kill and reap the child processes of a server of this package or of the standard library."""
    for pid in list(getattr(server, "active_children", None) or ()):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
