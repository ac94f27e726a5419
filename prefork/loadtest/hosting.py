"""Servers to be measured, in processes of their own: what these are told, and what they say.

What a server and its workers print goes to a file.
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
"""Seconds that servers have to be bound, and workers to get ready."""


@dataclass(frozen=True)
class Announcement:
    """That a server is bound, or why it is not. Without a pid and a reason it is left out: there is
    no reference for a server class."""

    place: int = 0
    pid: int = 0
    address: Any = None
    log: str = ""
    refusal: str = ""
    threads: int = 1
    """Requests that a worker has in hand at a time; 0: any number."""

    def line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, line: str) -> Announcement:
        """Errors: `StartRefused` when that is what was said."""
        one = cls(**json.loads(line))
        if one.refusal:
            raise StartRefused(one.refusal)
        return one

    @property
    def as_sockets_take_it(self) -> Any:
        """The address: host and port, or a path."""
        return tuple(self.address[:2]) if isinstance(self.address, list) else self.address


def lines_of(process: subprocess.Popen[str], missing: str) -> Iterator[str]:
    """What a child says on its standard output, line by line, each within `START` seconds.

    Errors: `ChildFailed`, with the sentence `missing`, when there is none.
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
    """From now on, standard output and error of this process are that file."""
    said = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.close(said)


def end_workers(server: Any) -> None:
    """Kill and collect the processes of a server, of ours or of the standard library's."""
    for pid in list(getattr(server, "active_children", None) or ()):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
