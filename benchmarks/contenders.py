"""The servers that are compared, each running in a process group of its own."""

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

from benchmarks.build import program
from prefork.loadtest.process_tree import used_by_tree

SERVE = Path(__file__).resolve().with_name("serve.py")
PEERS = SERVE.with_name("peers")
START_DEADLINE = 60.0  # the ballast takes a few seconds
STOP_DEADLINE = 10.0


class ServerFailed(RuntimeError):
    """A server did not start, or answered nobody; what it had to say is on standard error."""


@dataclass(frozen=True)
class Contender:
    """A server to be measured: the name in the tables and the command that prints a port."""

    name: str
    command: tuple[str, ...]
    missing: str = ""
    """What would have to be installed; empty where nothing is."""


def c_server(
    workers: int, kind: str = "connection", *, name: str = "C prefork", size: int = 0
) -> Contender:
    """The C server, of a kind that c/prefork/prefork.c explains; `size` in bytes."""
    return Contender(name, (str(program("prefork")), kind, str(workers), str(size)))


def python_server(
    kind: str, handler: str, workers: int, *, name: str, **options: float
) -> Contender:
    """One of the servers in serve.py, with options of it: `loops`, `seconds`, `size`, `ballast`."""
    flags = (f"--{flag}={value}" for flag, value in {"workers": workers, **options}.items())
    return Contender(name, (*_isolated(SERVE), kind, handler, *flags))


def peer(file: str, workers: int, *options: str, name: str, needs: str = "") -> Contender:
    """A Python program in peers/, with options of it; `needs` is a package that it imports."""
    there = not needs or importlib.util.find_spec(needs) is not None
    command = (*_isolated(PEERS / file), f"--workers={workers}", *options)
    return Contender(name, command, "" if there else f"the Python package {needs}")


def perl_peer(
    file: str, workers: int, *options: str, name: str, needs: str, package: str
) -> Contender:
    """A Perl program in peers/; `needs` is a module that it uses, `package` Debian's with it."""
    perl = shutil.which("perl") or "false"
    there = subprocess.run([perl, f"-M{needs}", "-e", "1"], capture_output=True).returncode == 0
    missing = "" if there else f"Perl's {needs} (Debian's package {package})"
    return Contender(name, (perl, str(PEERS / file), str(workers), *options), missing)


def installed(contenders: Iterable[Contender]) -> tuple[list[Contender], list[str]]:
    """Those that can be measured, and a sentence about each of the others."""
    contenders = list(contenders)
    return (
        [each for each in contenders if not each.missing],
        [
            f"{each.name} is left out: it needs {each.missing}, which is not installed."
            for each in contenders
            if each.missing
        ],
    )


def _isolated(file: Path) -> tuple[str, ...]:
    return (sys.executable, "-I", str(file))


class Running:
    """A contender at work, from `with` to its end; nothing of it stays behind."""

    def __init__(self, contender: Contender) -> None:
        self.name = contender.name
        self._command = contender.command

    def __enter__(self) -> Running:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, start_new_session=True
        )
        try:
            self.port = self._announced_port()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The master's."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        return used_by_tree(self.pid)

    def _announced_port(self) -> int:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_DEADLINE)
        line = self._process.stdout.readline() if ready else b""
        if not line.strip().isdigit():
            raise ServerFailed(f"The server {self.name!r} did not start.")
        return int(line)

    def _end(self) -> None:
        """Ask the master; then make sure of its whole group, which outlives a dead master."""
        self._process.terminate()
        try:
            self._process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # all gone, as it should be
        self._process.wait(STOP_DEADLINE)
        if self._process.stdout is not None:
            self._process.stdout.close()


def settle() -> None:
    """Let the server note the end of the last requests, before its CPU time is read."""
    time.sleep(0.05)
