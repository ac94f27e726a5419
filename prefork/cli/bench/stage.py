"""The servers of all cells, as the command sees them: started together, asked in turns."""

from __future__ import annotations

import contextlib
import os
import re
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefork.cli.bench.cells import Cell
from prefork.cli.bench.results import Result, Turn
from prefork.cli.bench.servers import Announcement, Play
from prefork.cli.load.children import ChildFailed, child
from prefork.cli.load.cpu import used_by_tree
from prefork.cli.load.drivers import Drivers, Progress
from prefork.cli.load.orders import Order
from prefork.cli.outcomes import Refusal

SERVERS = "prefork.cli.bench.servers"
START = 60.0
"""Seconds that all servers have to be bound."""
SETTLING = 0.01
"""Seconds that a server has after the last answer, to put things away and collect its children."""
REPORTED = re.compile(
    r"^(Exception occurred during processing of request from|Worker \d+ \(.*\) .* while serving) ",
    re.MULTILINE,
)
"""What `handle_error()` prints, as documented, before the traceback; and what a master logs of a
worker that dies of a request."""
ABOVE = re.compile(rf'  File "({re.escape(str(Path(__file__).parents[2]))}/|.*/socketserver\.py")')
"""A frame of ours or of the standard library's module."""
LONGEST = 40
"""Lines of a traceback to show."""
LAST = 5
"""Lines of a log without one."""


@dataclass
class Contender:
    """The server of one cell, and what its turns have given."""

    cell: Cell
    pid: int
    address: Any
    log: Path
    turns: list[Turn] = field(default_factory=list)
    tail: float = 0.0
    """What its last turn took longer than it should have, in seconds."""
    complaint: str = ""
    """Of the first turn with a failure: what the clients say, and what the server has printed."""

    def take(self, drivers: Drivers, order: Order, progress: Progress = lambda share: None) -> Turn:
        """One turn, which is not yet noted.

        Errors: `ChildFailed`.
        """
        os.truncate(self.log, 0)
        began = time.monotonic()
        try:
            before = used_by_tree(self.pid)
            measured = drivers.drive(order, progress)
            time.sleep(SETTLING)
            cpu = used_by_tree(self.pid) - before
            self.tail = max(0.0, time.monotonic() - began - order.warm_up - order.seconds)
        except ProcessLookupError:
            raise ChildFailed(f"The server of {self.cell.title} has ended.{self.printed}") from None
        if measured.failures and not self.complaint:
            self.complaint = "\n".join(filter(None, [measured.reason.strip(), self.printed]))
        return Turn(measured, cpu)

    @property
    def reports_an_error(self) -> bool:
        """Whether the handler has raised something in this turn, or killed its worker, even if it
        had answered."""
        return REPORTED.search(self._log) is not None

    @property
    def printed(self) -> str:
        """The first traceback in what the server has printed, or the end of it."""
        return handlers_part(self._log)

    @property
    def _log(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def result(self) -> Result:
        return Result.of(self.cell, self.turns)


def handlers_part(log: str) -> str:
    """The first traceback in a log, without the frames above the handler; or the log's end."""
    lines = log.strip().splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("Traceback (")), None)
    if first is None:
        return "\n".join(lines[-LAST:])
    # To the exception itself, which is the first line that is not indented.
    ends = (n for n in range(first + 1, len(lines)) if lines[n][:1] not in ("", " "))
    shown = lines[first : next(ends, len(lines)) + 1]
    frames = [n for n, line in enumerate(shown) if line.startswith('  File "')]
    own = next((n for n in frames if not ABOVE.match(shown[n])), None)
    return "\n".join([shown[0], *(shown[own:] if own is not None else shown[1:])][:LONGEST])


@contextlib.contextmanager
def contenders(play: Play) -> Iterator[list[Contender]]:
    """All servers, bound, in the order of the cells; idle until they are asked.

    Errors: `Refusal`, `ChildFailed`.
    """
    with child(SERVERS, play.line()) as servers:
        assert servers.stdout is not None
        deadline = time.monotonic() + START
        announced: dict[int, Announcement] = {}
        unread = b""
        descriptor = servers.stdout.fileno()
        while len(announced) < len(play.cells):
            left = max(0.0, deadline - time.monotonic())
            data = b""
            if select.select([descriptor], [], [], left)[0]:
                data = os.read(descriptor, 1 << 16)
            if not data:
                raise ChildFailed("The servers did not start.")
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                one = Announcement.of(line.decode())
                if one.refusal:
                    raise Refusal(one.refusal)
                announced[one.place] = one
        ordered = [announced[place] for place in range(len(play.cells))]
        yield [
            Contender(cell, one.pid, _address(one.address), Path(one.log))
            for cell, one in zip(play.cells, ordered, strict=True)
            if one.pid
        ]


def _address(said: Any) -> Any:
    """As a socket takes it: host and port, or a path."""
    return tuple(said[:2]) if isinstance(said, list) else said
