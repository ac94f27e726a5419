"""Runs a worker from its start to its exit, and maps every outcome to an exit code."""

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
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.exit_codes import ExitCode, ProcessMain
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.protocol.scoreboard import Slot, State
from prefork.workers.server_in_worker import ServerInWorker
from prefork.workers.sources.base import Source
from prefork.workers.title import Title

logger = logging.getLogger("prefork")


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """The configuration of a new worker: its slot and its limits."""

    number: int
    persistent: bool
    """Whether the worker serves until it is told to retire; if false, it serves only one
    request."""
    threads: int | None
    """Maximum number of requests in flight. 0 means no limit; `None` means one request at a time,
    without threads."""
    daemon_threads: bool
    max_requests: int
    gc_freeze: bool
    """Whether to call `gc.freeze()`, so that the garbage collector ignores the memory that this
    process shares with others."""
    name: str
    process_titles: bool

    def packed(self) -> bytes:
        """Return the bytes that `unpacked()` reads, in a process of the same interpreter."""
        return marshal.dumps(asdict(self))

    @classmethod
    def unpacked(cls, data: bytes) -> WorkerConfig:
        return cls(**marshal.loads(data))


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What a new worker is given: its configuration, its slot, and its channel to the master."""

    config: WorkerConfig
    slot: Slot
    channel: Channel

    def title(self) -> Title:
        config = self.config
        return Title(config.number, config.name, self.slot, config.process_titles)

    def in_flight(self) -> InFlight | None:
        threads = self.config.threads
        return None if threads is None else InFlight(threads, self.config.daemon_threads, self.slot)


ForkMold = Callable[[WorkerContext, Source, InFlight | None, Message], ProcessMain | None]
"""Forks a mold from a worker. Returns the mold's main function in the mold, and `None` in the
worker."""


def serve_many(
    server: ServerInWorker,
    context: WorkerContext,
    source_of: Callable[[WorkerContext, InFlight | None], Source],
    fork_mold: ForkMold,
) -> int | ProcessMain:
    """Run a persistent worker, which serves the requests from its source.

    Returns its exit status; in a mold that was forked from the worker, the mold's main function.
    """

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
            lambda order: fork_mold(context, source, in_flight, order),
        ).run

    in_flight = context.in_flight()
    return _run(server, context, in_flight, prepare)


def serve_one(
    server: ServerInWorker, context: WorkerContext, request: Any, client_address: Any, whole: bool
) -> int | ProcessMain:
    """Run a worker that was forked for one request, taken by the master; return its exit status.

    If `whole` is true, the master has only taken and verified the request, and the worker calls
    `process_request()`. Otherwise the master has already called it, and this process was forked
    inside it.
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
    status = _run(server, context, None, lambda: work)
    if status == ExitCode.BOOT_FAILED:
        server.drop(request)
    return status


def _run(
    server: ServerInWorker,
    context: WorkerContext,
    in_flight: InFlight | None,
    prepare: Callable[[], ProcessMain],
) -> int | ProcessMain:
    number = context.config.number
    event = {"event": "worker_crashed", "slot": number}
    try:
        current.slot = context.slot
        current.in_flight = in_flight
        server.enter(in_flight, lambda: context.channel.send(Message(Kind.STOP)))
        # Before the hook, which may use up the descriptors or lower their limit.
        work = prepare()
        server.started()
    except BaseException:
        context.channel.send(Message.failed(traceback.format_exc()))
        return ExitCode.BOOT_FAILED
    context.channel.send(Message(Kind.READY))
    try:
        status = work()
    except Exception:
        logger.exception("Worker %d crashed outside the request handler", number, extra=event)
        status = ExitCode.CRASHED
    except BaseException:
        status = ExitCode.CRASHED  # SystemExit, for example: not reported, as in a forked child
    if callable(status):
        return status  # this process has become a mold; the worker runs elsewhere
    if status != ExitCode.CRASHED:
        context.slot.enter(State.LEAVING)
    try:
        server.leaving()
    except Exception:
        logger.exception(
            "worker_leaving() failed in worker %d; the worker exits anyway",
            number,
            extra={"event": "worker_leaving_failed", "slot": number},
        )
    return status
