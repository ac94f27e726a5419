"""Child processes of the command, which never outlive it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

PATIENCE = 5.0
"""Seconds that a child has to end once its standard input has."""

BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {} import main; main()"


class ChildFailed(RuntimeError):
    """A process of the command has ended too early; the message says which."""


class StartRefused(Exception):
    """A process cannot do what it was started for; the message is one sentence that says why."""


@contextlib.contextmanager
def child(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run `main()` of a module in a new interpreter that finds the same modules as this one.

    Each watches its standard input, whose end is the order to leave; so it also leaves when this
    process is killed. It is in a group of its own: Ctrl-C is this process's business. What is left
    of that group when it has ended is killed.
    """
    command = [sys.executable, "-c", BOOT.format(module), json.dumps(sys.path)]
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            _wait(process)
        finally:
            # Not reaped yet, so that the group's number is still this one's.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def own_output() -> int:
    """A child's standard output, for `say()` alone: what others print goes to standard error."""
    output = os.dup(1)
    os.dup2(2, 1)
    return output


def say(line: str, output: int) -> None:
    """A line to the command, from a child. When the command is gone, so will the child be: its
    standard input ends."""
    with contextlib.suppress(BrokenPipeError):
        os.write(output, f"{line}\n".encode())  # a pipe that blocks takes it whole


def _wait(process: subprocess.Popen[str]) -> None:
    """Wait until it has ended, or has been asked for long enough.

    A second Ctrl-C changes nothing: killed now, it would leave its files behind.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return  # reaped by the one who asked for its exit code
    deadline = time.monotonic() + PATIENCE
    try:
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(KeyboardInterrupt):
                select.select([descriptor], [], [], left)
                break
    finally:
        os.close(descriptor)
