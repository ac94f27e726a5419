"""The servers of all cells, as the command sees them: started together, asked in turns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prefork.cli.bench.cells import Cell
from prefork.cli.bench.results import Result
from prefork.cli.bench.server_process import Play
from prefork.loadtest.hosted_server import Served
from prefork.loadtest.hosting import Announcement, lines_of
from prefork.loadtest.processes import child
from prefork.loadtest.trials import Trial

SERVERS = "prefork.cli.bench.server_process"


@dataclass
class Contender(Served):
    """The server of one cell, and what its turns have given."""

    cell: Cell = field(kw_only=True)
    turns: list[Trial] = field(default_factory=list)

    @property
    def result(self) -> Result:
        return Result.of(self.cell, self.turns)


@contextlib.contextmanager
def contenders(play: Play) -> Iterator[list[Contender]]:
    """All servers, bound, in the order of the cells; idle until they are asked.

    Errors: `Refusal`, `ChildFailed`.
    """
    with child(SERVERS, play.line()) as servers:
        lines = lines_of(servers, "The servers did not start.")
        announced = [Announcement.of(next(lines)) for _ in play.cells]
        yield [
            Contender(
                play.cells[one.place].title,
                one.pid,
                one.as_sockets_take_it,
                Path(one.log),
                cell=play.cells[one.place],
            )
            for one in sorted(announced, key=lambda one: one.place)
            if one.pid
        ]
