"""The servers of the bench: one process loads the handler, and forks a master for each cell."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from prefork.cli.addresses import Address, refusal_of
from prefork.cli.bench.cells import KINDS, REFERENCES, Cell
from prefork.cli.measuring.jobs import Job
from prefork.cli.outcomes import Refusal
from prefork.cli.target import loading
from prefork.cli.target.opening import find, open_server
from prefork.cli.target.server_class import is_server_class
from prefork.cli.target.standard_library import standard_library
from prefork.loadtest.hosting import Announcement, end_workers, print_into
from prefork.loadtest.processes import own_output, say

BACKLOG = 1024
"""Of the references too, so that servers are compared and not their queues."""
GRACE = 2.0
"""Seconds that masters have to end their workers."""


@dataclass(frozen=True)
class Play(Job):
    """What all servers have in common, and the cells."""

    cells: Sequence[Cell]

    @classmethod
    def read(cls, said: dict[str, Any]) -> dict[str, Any]:
        return super().read(said) | {"cells": [Cell(**cell) for cell in said["cells"]]}


def main() -> None:
    """`PLAY`: announce each server on standard output, serve until standard input ends."""
    play = Play.of(sys.argv[1])
    answers = own_output()
    try:
        given, handler = find(play.target, play.options)
    except Refusal as refusal:
        say(Announcement(0, refusal=str(refusal)).line(), answers)
        raise SystemExit(1) from None
    masters = []
    served_by_class = is_server_class(given)
    with tempfile.TemporaryDirectory(prefix="prefork-bench-") as folder:
        for place, cell in enumerate(play.cells):
            if cell.is_reference and served_by_class:
                say(Announcement(place).line(), answers)
                continue
            sys.stdout.flush()
            sys.stderr.flush()
            if not (pid := os.fork()):
                with never_to_return():
                    be_master(play, place, given, handler, Path(folder), answers)
            masters.append(pid)
        os.close(answers)
        while os.read(0, 1024):
            pass
        end(masters)


def end(masters: Sequence[int]) -> None:
    """Have the masters end their workers, and collect them; nobody is left when this returns."""
    for pid in masters:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    left = list(masters)
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if not os.waitpid(pid, os.WNOHANG)[0]]
        time.sleep(0.005)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def never_to_return() -> Iterator[None]:
    """A forked process does what is in the block, and ends there, whatever happens."""
    try:
        yield
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def be_master(play: Play, place: int, given: Any, handler: Any, folder: Path, answers: int) -> None:
    """Announce, and serve for ever."""
    log = folder / f"{place}.log"
    print_into(log)
    cell, address = play.cells[place], play.address
    if not address.is_ip:
        address = replace(address, path=str(folder / f"{place}.sock"))
    try:
        server = opened(play, cell, address, given, handler)
    except Refusal as refusal:
        say(Announcement(place, refusal=str(refusal)).line(), answers)
        return
    leave_on_sigterm(server)
    said_address = server.server_address
    say(Announcement(place, os.getpid(), said_address, str(log)).line(), answers)
    os.close(answers)
    try:
        server.serve_forever()
    finally:  # a handler may stop its server
        end_workers(server)


def opened(play: Play, cell: Cell, address: Address, given: Any, handler: Any) -> Any:
    """The server of a cell, bound. Errors: `Refusal`."""
    if not cell.is_reference:
        options = replace(play.options, max_children=cell.workers, said=cell.settings)
        return open_server(play.target, given, handler, address, options)
    try:
        return reference(cell.strategy, address)(address.for_bind, given)
    except OSError as error:
        raise refusal_of(address, error) from error
    except Exception as error:
        raise Refusal(loading.failure_in(f"{cell.title} cannot be constructed", error)) from error


def reference(name: str, address: Address) -> Any:
    """The class of the standard library that is called so, or would be: not all versions have
    those for Unix sockets ready-made."""
    library = standard_library()
    kind = KINDS[address.scheme]
    mixin = next(prefix for prefix in REFERENCES if name == f"{prefix}{kind}")
    attributes: dict[str, object] = {"request_queue_size": BACKLOG}
    if address.is_ip:
        attributes["address_family"] = address.family
    return type(name, (getattr(library, f"{mixin}MixIn"), getattr(library, kind)), attributes)


def leave_on_sigterm(server: Any) -> None:
    """From now on SIGTERM ends this process and those that serve for it at once."""

    def leave(signo: int, frame: FrameType | None) -> None:
        end_workers(server)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
