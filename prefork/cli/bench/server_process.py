"""The servers of the bench: one process loads the handler and forks a master for each server."""

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
from prefork.cli.bench.candidates import KINDS, REFERENCES, Candidate
from prefork.cli.measuring.jobs import Job
from prefork.cli.outcomes import Refusal
from prefork.cli.target import loading
from prefork.cli.target.opening import find, open_server
from prefork.cli.target.server_class import is_server_class
from prefork.cli.target.standard_library import standard_library
from prefork.loadtest.hosting import Announcement, end_workers, print_into
from prefork.loadtest.processes import own_output, say

BACKLOG = 1024
"""The backlog of the references, the same as that of a pool: the comparison is not of queues."""
GRACE = 2.0
"""Seconds that masters have to end their workers."""


@dataclass(frozen=True)
class BenchJob(Job):
    """The options that all servers have in common, and the candidates."""

    candidates: Sequence[Candidate]

    @classmethod
    def read(cls, written: dict[str, Any]) -> dict[str, Any]:
        candidates = [Candidate(**each) for each in written["candidates"]]
        return super().read(written) | {"candidates": candidates}


def main() -> None:
    """Announce each server of `JOB`, the only argument; serve until standard input ends."""
    job = BenchJob.of(sys.argv[1])
    answers = own_output()
    try:
        given, handler = find(job.target, job.options)
    except Refusal as refusal:
        say(Announcement(0, refusal=str(refusal)).line(), answers)
        raise SystemExit(1) from None
    masters = []
    is_class = is_server_class(given)
    with tempfile.TemporaryDirectory(prefix="prefork-bench-") as folder:
        for place, candidate in enumerate(job.candidates):
            if candidate.is_reference and is_class:
                say(Announcement(place).line(), answers)
                continue
            sys.stdout.flush()
            sys.stderr.flush()
            if not (pid := os.fork()):
                with exit_afterwards():
                    run_master(job, place, given, handler, Path(folder), answers)
            masters.append(pid)
        os.close(answers)
        while os.read(0, 1024):
            pass
        end(masters)


def end(masters: Sequence[int]) -> None:
    """Tell the masters to end their workers, and reap all masters before returning."""
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
def exit_afterwards() -> Iterator[None]:
    """Exit this forked process at the end of the block, whatever happens in it."""
    try:
        yield
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def run_master(
    job: BenchJob, place: int, given: Any, handler: Any, folder: Path, answers: int
) -> None:
    """Announce the server, and serve until SIGTERM."""
    log = folder / f"{place}.log"
    print_into(log)
    candidate, address = job.candidates[place], job.address
    if not address.is_ip:
        address = replace(address, path=str(folder / f"{place}.sock"))
    try:
        server = opened(job, candidate, address, given, handler)
    except Refusal as refusal:
        say(Announcement(place, refusal=str(refusal)).line(), answers)
        return
    exit_on_sigterm(server)
    say(Announcement(place, os.getpid(), server.server_address, str(log)).line(), answers)
    os.close(answers)
    try:
        server.serve_forever()
    finally:  # a handler may stop its server
        end_workers(server)


def opened(job: BenchJob, candidate: Candidate, address: Address, given: Any, handler: Any) -> Any:
    """Return the bound server of a candidate.

    Errors: `Refusal`.
    """
    if not candidate.is_reference:
        options = replace(job.options, max_children=candidate.workers, settings=candidate.settings)
        return open_server(job.target, given, handler, address, options)
    try:
        return reference(candidate.strategy, address)(address.for_bind, given)
    except OSError as error:
        raise refusal_of(address, error) from error
    except Exception as error:
        what = f"{candidate.title} cannot be constructed"
        raise Refusal(loading.failure_in(what, error)) from error


def reference(name: str, address: Address) -> Any:
    """Compose the standard library's class of this name.

    Not all versions of Python define the classes for Unix sockets.
    """
    library = standard_library()
    kind = KINDS[address.scheme]
    mixin = next(prefix for prefix in REFERENCES if name == f"{prefix}{kind}")
    attributes: dict[str, object] = {"request_queue_size": BACKLOG}
    if address.is_ip:
        attributes["address_family"] = address.family
    return type(name, (getattr(library, f"{mixin}MixIn"), getattr(library, kind)), attributes)


def exit_on_sigterm(server: Any) -> None:
    """Make SIGTERM end this process and the server's processes at once."""

    def leave(signo: int, frame: FrameType | None) -> None:
        end_workers(server)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
