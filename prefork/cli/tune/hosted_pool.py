"""The pool of a sweep as the command sees it: it is resized, then put under load."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from prefork.advice.phrasing import counted
from prefork.cli.measuring.jobs import Job
from prefork.loadtest.hosted_server import HostedServer
from prefork.loadtest.hosting import Announcement, lines_of
from prefork.loadtest.process_tree import children
from prefork.loadtest.processes import ChildFailed, child
from prefork.readings.memory import pss

HOST = "prefork.cli.tune.pool_process"
MOST_WEIGHED = 32
"""Maximum number of workers whose memory is read: the kernel walks all pages of each."""


@dataclass
class HostedPool(HostedServer):
    """The pool and its current size."""

    process: subprocess.Popen[str] = field(kw_only=True)
    lines: Iterator[str] = field(kw_only=True)
    threads: int = 1
    workers: int = 0

    def resize(self, workers: int) -> None:
        """Set the number of workers, and wait until they are ready.

        Errors: `StartRefused` if none can start, `ChildFailed`.
        """
        if workers == self.workers:
            return
        self.title = counted(workers, "worker")
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{workers}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ChildFailed(f"The pool has exited.\n{self.printed}") from None
        while (line := next(self.lines)) != str(workers):
            Announcement.of(line)
        self.workers = workers

    def memory(self) -> int | None:
        """Return the memory (PSS) of a worker in bytes, averaged over several workers.

        `None` if there is no worker, or if the kernel does not report its memory.
        """
        weighed = []
        for pid in children(self.pid)[:MOST_WEIGHED]:
            with contextlib.suppress(OSError):
                weighed.append(pss(pid))
        return round(fmean(weighed)) if weighed else None


@contextlib.contextmanager
def pool_of(job: Job) -> Iterator[HostedPool]:
    """Yield a pool that is bound and does not have a worker yet.

    Errors: `StartRefused`, `ChildFailed`.
    """
    with child(HOST, job.line()) as process:
        lines = lines_of(process, "The pool did not start, or its workers did not become ready.")
        announced = Announcement.of(next(lines))
        yield HostedPool(
            "no worker",
            announced.pid,
            announced.socket_address,
            Path(announced.log),
            process=process,
            lines=lines,
            threads=announced.threads,
        )
