"""A pool that works through a script: the work of each request is known beforehand."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.competitors import Competitor, RunningServer
from benchmarks.harness.paths import SERVERS
from benchmarks.servers.scripted_server import ITEM, RECORD, WorkItem, WorkRecord


class Script:
    """Writes the work items of a running scripted server, and reads the record of each."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self.server = server
        self._items, self._records, self._times = paths(folder)
        self._first = 0

    def write(self, items: Sequence[WorkItem]) -> None:
        """Set the next work items. Earlier ones that no request has taken are dropped."""
        self._first = self._records.stat().st_size // RECORD.size
        with self._items.open("r+b") as file:
            file.truncate(ITEM.size * self._first)
            file.seek(0, os.SEEK_END)
            file.write(b"".join(ITEM.pack(*item) for item in items))

    def records(self) -> list[WorkRecord]:
        """Return the records of the requests since the last `write()`, as they ended."""
        everything = RECORD.iter_unpack(self._records.read_bytes())
        return [WorkRecord(*fields) for fields in everything][self._first :]

    def write_times(self, times: Sequence[float]) -> str:
        """Write a file of times for the load generator, and return its name."""
        self._times.write_text("".join(f"{each:.9f}\n" for each in times))
        return str(self._times)


def paths(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "items", folder / "records", folder / "times"


@contextmanager
def scripted(name: str, workers: int) -> Iterator[Script]:
    """Run a scripted server, and yield its script."""
    with tempfile.TemporaryDirectory() as folder:
        items, records, _ = paths(Path(folder))
        items.touch()
        records.touch()
        program = str(SERVERS / "scripted_server.py")
        command = (sys.executable, "-I", program, str(items), str(records), f"--workers={workers}")
        with RunningServer(Competitor(name, command)) as server:
            yield Script(server, Path(folder))
