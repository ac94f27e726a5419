"""Whole programs under test: a fresh interpreter in a process group of its own."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tests.support.children import children, children_of, command_of, has_ended, kill_and_reap
from tests.support.deadlines import ENDING, EXCHANGE, HANG, Deadline, stretched
from tests.support.polling import eventually

HOLDING = """
import os, sys
from prefork import PreforkTCPServer, Settings

def handler(request, client_address, server):
    first = request.recv(1)
    request.sendall(b"%d " % os.getpid())
    if first == b"h":
        request.recv(1)
    request.sendall(b"served")

class Server(PreforkTCPServer):
    max_children = 2
    allow_reuse_address = True
    prefork_settings = Settings(strategy={strategy!r})

server = Server(("127.0.0.1", 0), handler)
print("serving on", server.server_address[1])
"""
"""The start of a program whose handler holds a request "h" until the client sends a second byte.

The test appends how it serves and ends.
"""

AT_ONCE = 1.0
"""Seconds within which an idle worker leaves after its master has ended."""


class Program:
    """A running program that reports to the test in lines on its standard output."""

    def __init__(self, code: str, folder: Path) -> None:
        # Like an installed prefork: the current folder, that of the test, is first on the path.
        self.process = subprocess.Popen(
            [sys.executable, "-E", "-u", "-c", textwrap.dedent(code)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self.process.pid
        self._text = b""
        self.output: list[str] = []

    def line(self, seconds: float = HANG) -> str:
        """Wait for the next line that it prints."""
        assert self.process.stdout is not None
        deadline = Deadline(seconds)
        while b"\n" not in self._text:
            ready = select.select([self.process.stdout], [], [], deadline.demand("a line"))[0]
            data = os.read(self.process.stdout.fileno(), 65536) if ready else None
            if data == b"":
                raise AssertionError("the program has ended: " + self.errors())
            self._text += data or b""
        line, _, self._text = self._text.partition(b"\n")
        self.output.append(line.decode())
        return self.output[-1]

    def address(self) -> tuple[str, int]:
        """Wait for the line "serving on PORT"; return the address."""
        words = self.line().split()
        assert words[:2] == ["serving", "on"], words
        return "127.0.0.1", int(words[2])

    def workers(self, count: int) -> set[int]:
        """Wait until *count* of its children are workers; return their pids."""

        def pids() -> set[int]:
            found = children_of(self.pid) - self.fork_servers()
            return found if len(found) == count else set()

        return eventually(pids, HANG, what=f"{count} workers")

    def fork_servers(self) -> set[int]:
        """The pids of those of its children that fork workers."""
        return fork_servers_among(children_of(self.pid))

    def signal_group(self, number: int) -> None:
        """Signal all processes of its group, as a terminal does on Ctrl-C."""
        os.killpg(self.pid, number)

    def ends(self, seconds: float = ENDING) -> int:
        """Wait until it exits; return the exit code."""
        return self.process.wait(stretched(seconds))

    def remaining_output(self, seconds: float = EXCHANGE) -> str:
        """What it and its workers print until all of them have ended."""
        assert self.process.stdout is not None
        deadline = Deadline(seconds)
        while True:
            if not select.select([self.process.stdout], [], [], deadline.remaining())[0]:
                deadline.demand("the end of all processes that hold the program's output")
                continue
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return self._text.decode()
            self._text += data

    def errors(self) -> str:
        """Everything that it and its workers have written to standard error."""
        assert self.process.stderr is not None
        text = b""
        deadline = Deadline(EXCHANGE)
        while select.select([self.process.stderr], [], [], deadline.demand("the end"))[0]:
            data = os.read(self.process.stderr.fileno(), 65536)
            if not data:
                break
            text += data
        return text.decode()


def fork_servers_among(pids: set[int]) -> set[int]:
    """The processes that fork workers instead of serving, by their process titles."""
    return {
        pid for pid in pids if command_of(pid).startswith(("prefork: fork server", "prefork: mold"))
    }


def fork_servers_here() -> set[int]:
    """The children of this process that fork workers."""
    return fork_servers_among(children())


def the_fork_server() -> int:
    """Wait until there is exactly one; a new worker has the same title for a moment."""

    def only() -> int:
        found = fork_servers_here()
        return found.pop() if len(found) == 1 else 0

    return eventually(only, what="one fork server")


def workers_here() -> set[int]:
    """The children of this process that are workers."""
    found = children()
    return found - fork_servers_among(found)


def first_word(client: socket.socket) -> int:
    """The pid with which the answer begins: that of the worker that has taken this client."""
    text = b""
    while not text.endswith(b" "):
        text += client.recv(1)
    return int(text)


@contextlib.contextmanager
def program(code: str, folder: Path) -> Iterator[Program]:
    """Run a program; kill what is left of it at the end of the block."""
    before = children()
    running = Program(code, folder)
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.process.wait(stretched(ENDING))
        for stream in (running.process.stdout, running.process.stderr):
            assert stream is not None
            stream.close()
        for orphan in children() - before:  # orphans become children of the test process
            kill_and_reap(orphan)


def orphans_end(pids: set[int], seconds: float = ENDING) -> bool:
    """Whether workers whose master has ended end in time; the test process reaps them."""
    deadline = Deadline(seconds)
    ended = all(has_ended(pid, deadline.remaining()) for pid in pids)
    for pid in pids:
        if not ended:
            kill_and_reap(pid)
        else:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return ended
