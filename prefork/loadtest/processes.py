"""Runs child processes of the command, none of which outlives it."""

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
"""Seconds that a child is given to exit after the end of its standard input."""

BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {} import main; main()"


class ChildFailed(RuntimeError):
    """A child process has exited unexpectedly; the message says which."""


class StartRefused(Exception):
    """A child process refused to start; the message is one sentence that says why."""


@contextlib.contextmanager
def child(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run `main()` of a module in a new interpreter with the same module path as this one.

    The end of its standard input tells the child to exit, so it also exits if this process is
    killed. It has its own process group, so that Ctrl-C reaches only this process. Processes of
    that group that are left after the child's exit are killed.
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
            # The child is not reaped yet, so its pid cannot belong to another group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def own_output() -> int:
    """Reserve a child's standard output for `say()`; other output goes to standard error."""
    output = os.dup(1)
    os.dup2(2, 1)
    return output


def say(line: str, output: int) -> None:
    """Send a line from a child to the command.

    If the command has exited, the line is dropped; the child then exits as well, because its
    standard input ends.
    """
    with contextlib.suppress(BrokenPipeError):
        os.write(output, f"{line}\n".encode())  # a blocking pipe accepts all of it


def _wait(process: subprocess.Popen[str]) -> None:
    """Wait at most `PATIENCE` seconds for a child to exit.

    A second Ctrl-C does not end the wait: a child that is killed now would leave its files behind.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return  # its exit status has already been collected
    deadline = time.monotonic() + PATIENCE
    try:
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(KeyboardInterrupt):
                select.select([descriptor], [], [], left)
                break
    finally:
        os.close(descriptor)
