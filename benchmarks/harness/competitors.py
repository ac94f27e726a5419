"""The servers that are compared. Each runs in a process group of its own."""

from __future__ import annotations

import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.harness.build import program
from benchmarks.harness.paths import PEERS, SERVERS
from prefork.loadtest.process_tree import used_by_tree

START_DEADLINE = 60.0  # a server with a ballast needs a few seconds
STOP_DEADLINE = 10.0


class ServerFailed(RuntimeError):
    """A server did not start, or did not answer any request. The server's own messages are on
    standard error."""


@dataclass(frozen=True)
class Competitor:
    """A server to measure: its name in the tables, and the command that prints its port."""

    name: str
    command: tuple[str, ...]
    missing: str = ""
    """What must be installed before the server can run; empty if nothing is missing."""


def c_server(
    workers: int, kind: str = "connection", *, name: str = "C prefork", size: int = 0
) -> Competitor:
    """Return the C server. c/prefork/prefork.c explains `kind`; `size` is in bytes."""
    return Competitor(name, (str(program("prefork")), kind, str(workers), str(size)))


def own_server(file: str, handler: str, *words: str, name: str, **options: object) -> Competitor:
    """Return a program of servers/ with its options, which are passed without dashes."""
    flags = (f"--{flag}={value}" for flag, value in options.items())
    return Competitor(name, (*_isolated(SERVERS / file), handler, *words, *flags))


def python_server(
    kind: str, handler: str, workers: int, *, name: str, **options: float
) -> Competitor:
    """Return a server of servers/socketservers.py. That program explains the options."""
    return own_server("socketservers.py", kind, handler, name=name, workers=workers, **options)


def peer(file: str, workers: int, *options: str, name: str, needs: str = "") -> Competitor:
    """Return a Python program of peers/. `needs` is the package that it imports."""
    found = not needs or importlib.util.find_spec(needs) is not None
    command = (*_isolated(PEERS / file), f"--workers={workers}", *options)
    return Competitor(name, command, "" if found else f"the Python package {needs}")


def perl_peer(
    file: str, workers: int, *options: str, name: str, needs: str, package: str
) -> Competitor:
    """Return a Perl program of peers/. `needs` is the module that it uses, from the Debian
    package `package`."""
    perl = shutil.which("perl") or "false"
    found = subprocess.run([perl, f"-M{needs}", "-e", "1"], capture_output=True).returncode == 0
    missing = "" if found else f"Perl's {needs} (Debian's package {package})"
    return Competitor(name, (perl, str(PEERS / file), str(workers), *options), missing)


def installed(competitors: Iterable[Competitor]) -> tuple[list[Competitor], list[str]]:
    """Return the competitors that can run, and a sentence about each one that cannot."""
    competitors = list(competitors)
    return (
        [each for each in competitors if not each.missing],
        [
            f"{each.name} was not measured: it needs {each.missing}, which is not installed."
            for each in competitors
            if each.missing
        ],
    )


def _isolated(file: Path) -> tuple[str, ...]:
    return (sys.executable, "-I", str(file))


class RunningServer:
    """A competitor that runs during a `with` block. All its processes have ended afterwards.

    Errors: `ServerFailed` if it does not print its port within `START_DEADLINE` seconds.
    """

    def __init__(self, competitor: Competitor) -> None:
        self.name = competitor.name
        self._command = competitor.command

    def __enter__(self) -> RunningServer:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, start_new_session=True
        )
        try:
            self.port = self._announced_port()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The process ID of the master."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return the CPU time of the master and of all its descendants."""
        return used_by_tree(self.pid)

    def _announced_port(self) -> int:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_DEADLINE)
        line = self._process.stdout.readline() if ready else b""
        if not line.strip().isdigit():
            raise ServerFailed(
                f"The server {self.name!r} did not start: it did not print its port within "
                f"{START_DEADLINE:.0f} s."
            )
        return int(line)

    def _stop(self) -> None:
        """Ask the master to stop, then kill its process group: workers may outlive the master."""
        self._process.terminate()
        try:
            self._process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the usual case: no process is left
        self._process.wait(STOP_DEADLINE)
        if self._process.stdout is not None:
            self._process.stdout.close()


def settle() -> None:
    """Wait until the server has finished its last requests, before its CPU time is read."""
    time.sleep(0.05)
