"""The pool that is swept, as the command sees it: it gets a size, and is asked."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from prefork.advice.phrasing import counted
from prefork.cli.measuring.jobs import Job
from prefork.loadtest.hosted_server import Served
from prefork.loadtest.hosting import Announcement, lines_of
from prefork.loadtest.process_tree import children
from prefork.loadtest.processes import ChildFailed, child
from prefork.readings.memory import pss

HOST = "prefork.cli.tune.pool_process"
MOST_WEIGHED = 32
"""Workers whose memory is read: the kernel walks all pages of each."""


@dataclass
class HostedPool(Served):
    """The pool, and the size that it has."""

    process: subprocess.Popen[str] = field(kw_only=True)
    lines: Iterator[str] = field(kw_only=True)
    threads: int = 1
    workers: int = 0

    def resize(self, workers: int) -> None:
        """Give it so many workers, and wait until they stand ready.

        Errors: `Refusal` when none can start, `ChildFailed`.
        """
        if workers == self.workers:
            return
        self.title = counted(workers, "worker")
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{workers}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ChildFailed(f"The pool has ended. {self.printed}") from None
        while (line := next(self.lines)) != str(workers):
            Announcement.of(line)
        self.workers = workers

    def memory(self) -> int | None:
        """Bytes of a worker (PSS), of some that stand on average; `None` where none stands, or the
        kernel does not say."""
        weighed = []
        for pid in children(self.pid)[:MOST_WEIGHED]:
            with contextlib.suppress(OSError):
                weighed.append(pss(pid))
        return round(fmean(weighed)) if weighed else None


@contextlib.contextmanager
def pool_of(job: Job) -> Iterator[HostedPool]:
    """A pool that is bound, and has no worker yet.

    Errors: `Refusal`, `ChildFailed`.
    """
    with child(HOST, job.line()) as process:
        lines = lines_of(process, "The pool did not start, or its workers did not get ready.")
        said = Announcement.of(next(lines))
        yield HostedPool(
            "no worker",
            said.pid,
            said.as_sockets_take_it,
            Path(said.log),
            process=process,
            lines=lines,
            threads=said.threads,
        )
