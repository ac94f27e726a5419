"""A worker from birth to exit: every outcome becomes an exit code with a meaning."""

from __future__ import annotations

import logging
import marshal
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from prefork.workers import current
from prefork.workers.in_flight import Room
from prefork.workers.loop import Loop
from prefork.workers.protocol.channel import Channel, Kind, Message
from prefork.workers.protocol.exit_codes import ExitCode, Life
from prefork.workers.protocol.scoreboard import Slot, State
from prefork.workers.server_in_worker import ServerInWorker
from prefork.workers.sources.base import Source
from prefork.workers.title import Title

logger = logging.getLogger("prefork")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a new worker is told: its place and its limits."""

    number: int
    standing: bool
    """Whether it serves until it is told to leave, or one request only."""
    threads: int | None
    """How many requests at a time; `None` for one, without threads, 0 for any number."""
    may_cut_off: bool
    max_requests: int
    gc_freeze: bool
    """Whether the garbage collector is kept away from what processes share."""
    name: str
    process_titles: bool

    def packed(self) -> bytes:
        """As they travel between processes of one interpreter; see `unpacked()`."""
        return marshal.dumps(asdict(self))

    @classmethod
    def unpacked(cls, data: bytes) -> Terms:
        return cls(**marshal.loads(data))


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a new worker is given: its terms, and its ties to the master."""

    terms: Terms
    slot: Slot
    channel: Channel

    def title(self) -> Title:
        terms = self.terms
        return Title(terms.number, terms.name, self.slot, terms.process_titles)

    def room(self) -> Room | None:
        threads = self.terms.threads
        return None if threads is None else Room(threads, self.terms.may_cut_off, self.slot)


Grow = Callable[[Assignment, Source, Room | None, Message], Life | None]
"""What a worker does when it is told to fork a mold; in the mold, what that is to live."""


def serve_many(
    server: ServerInWorker,
    given: Assignment,
    source_of: Callable[[Assignment, Room | None], Source],
    grow: Grow,
) -> int | Life:
    """The life of a standing worker: serve what its source brings. Its exit status."""

    def prepare() -> Life:
        source = source_of(given, room)
        title = given.title()
        return Loop(
            server,
            source,
            given.slot,
            given.channel,
            room,
            title,
            given.terms.max_requests,
            lambda order: grow(given, source, room, order),
        ).run

    room = given.room()
    return _live(server, given, room, prepare)


def serve_one(
    server: ServerInWorker, given: Assignment, request: Any, client_address: Any, whole: bool
) -> int | Life:
    """The life of a worker forked for one request, which the master has taken. Its exit status.

    `whole`: the master has taken and verified it and nothing more; otherwise it has processed it,
    to the point at which another process goes on.
    """

    def work() -> int:
        now = given.slot.take(client_address)
        if title.enabled:
            title.show(now)
        status = server.serve_one(request, client_address, whole)
        given.slot.done()
        if server.stop_asked():
            given.channel.send(Message(Kind.STOP))
        return status

    title = given.title()
    status = _live(server, given, None, lambda: work)
    if status == ExitCode.BOOT_FAILED:
        server.drop(request)
    return status


def _live(
    server: ServerInWorker,
    given: Assignment,
    room: Room | None,
    prepare: Callable[[], Life],
) -> int | Life:
    number = given.terms.number
    try:
        current.slot = given.slot
        server.enter(room, lambda: given.channel.send(Message(Kind.STOP)))
        # Before the hook, which may take the last descriptors, or lower the limit of them.
        work = prepare()
        server.started()
    except BaseException:
        given.channel.send(Message.failed(traceback.format_exc()))
        return ExitCode.BOOT_FAILED
    given.channel.send(Message(Kind.READY))
    try:
        status = work()
    except Exception:
        logger.exception("Worker %d met an error that no handler is answerable for", number)
        status = ExitCode.CRASHED
    except BaseException:
        status = ExitCode.CRASHED  # SystemExit and its like: silent, as in a forked child
    if callable(status):
        return status  # this is a mold by now, and the worker lives on elsewhere
    if status != ExitCode.CRASHED:
        given.slot.enter(State.LEAVING)
    try:
        server.leaving()
    except Exception:
        logger.exception("Worker %d: worker_leaving() failed; it leaves all the same", number)
    return status
