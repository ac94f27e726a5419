"""A worker from birth to exit: every outcome becomes an exit code with a meaning."""

from __future__ import annotations

import logging
import marshal
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from prefork.workers import current
from prefork.workers.in_flight import InFlight
from prefork.workers.loop import Loop
from prefork.workers.protocol.channel import Channel, Kind, Message
from prefork.workers.protocol.exit_codes import ExitCode, ProcessMain
from prefork.workers.protocol.scoreboard import Slot, State
from prefork.workers.server_in_worker import ServerInWorker
from prefork.workers.sources.base import Source
from prefork.workers.title import Title

logger = logging.getLogger("prefork")


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """What a new worker is told: its place and its limits."""

    number: int
    persistent: bool
    """Whether it serves until it is told to leave, or one request only."""
    threads: int | None
    """How many requests at a time; `None` for one, without threads, 0 for any number."""
    daemon_threads: bool
    max_requests: int
    gc_freeze: bool
    """Whether the garbage collector is kept away from what processes share."""
    name: str
    process_titles: bool

    def packed(self) -> bytes:
        """As they travel between processes of one interpreter; see `unpacked()`."""
        return marshal.dumps(asdict(self))

    @classmethod
    def unpacked(cls, data: bytes) -> WorkerConfig:
        return cls(**marshal.loads(data))


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What a new worker is given: its configuration, and its ties to the master."""

    config: WorkerConfig
    slot: Slot
    channel: Channel

    def title(self) -> Title:
        config = self.config
        return Title(config.number, config.name, self.slot, config.process_titles)

    def in_flight(self) -> InFlight | None:
        threads = self.config.threads
        return None if threads is None else InFlight(threads, self.config.daemon_threads, self.slot)


Grow = Callable[[WorkerContext, Source, InFlight | None, Message], ProcessMain | None]
"""What a worker does when it is told to fork a mold; in the mold, what that is to live."""


def serve_many(
    server: ServerInWorker,
    context: WorkerContext,
    source_of: Callable[[WorkerContext, InFlight | None], Source],
    grow: Grow,
) -> int | ProcessMain:
    """The life of a persistent worker: serve what its source brings. Its exit status."""

    def prepare() -> ProcessMain:
        source = source_of(context, in_flight)
        title = context.title()
        return Loop(
            server,
            source,
            context.slot,
            context.channel,
            in_flight,
            title,
            context.config.max_requests,
            lambda order: grow(context, source, in_flight, order),
        ).run

    in_flight = context.in_flight()
    return _live(server, context, in_flight, prepare)


def serve_one(
    server: ServerInWorker, context: WorkerContext, request: Any, client_address: Any, whole: bool
) -> int | ProcessMain:
    """The life of a worker forked for one request, which the master has taken. Its exit status.

    `whole`: the master has taken and verified it and nothing more; otherwise it has processed it,
    to the point at which another process goes on.
    """

    def work() -> int:
        now = context.slot.take(client_address)
        if title.enabled:
            title.show(now)
        status = server.serve_one(request, client_address, whole)
        context.slot.done()
        if server.stop_asked():
            context.channel.send(Message(Kind.STOP))
        return status

    title = context.title()
    status = _live(server, context, None, lambda: work)
    if status == ExitCode.BOOT_FAILED:
        server.drop(request)
    return status


def _live(
    server: ServerInWorker,
    context: WorkerContext,
    in_flight: InFlight | None,
    prepare: Callable[[], ProcessMain],
) -> int | ProcessMain:
    number = context.config.number
    try:
        current.slot = context.slot
        server.enter(in_flight, lambda: context.channel.send(Message(Kind.STOP)))
        # Before the hook, which may take the last descriptors, or lower the limit of them.
        work = prepare()
        server.started()
    except BaseException:
        context.channel.send(Message.failed(traceback.format_exc()))
        return ExitCode.BOOT_FAILED
    context.channel.send(Message(Kind.READY))
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
        context.slot.enter(State.LEAVING)
    try:
        server.leaving()
    except Exception:
        logger.exception("Worker %d: worker_leaving() failed; it leaves all the same", number)
    return status
