"""The inside of a fork server: a process that serves no request, and forks workers on order.

It has one thread, so no lock can be held by another one at a fork. The master forks one before
others have threads to fear; a worker that is warm forks one with all that it has in memory, a mold.
"""

from __future__ import annotations

import functools
import gc
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from prefork.workers import current, threads, title
from prefork.workers.birth import reset_signals
from prefork.workers.in_flight import InFlight
from prefork.workers.main import WorkerConfig, WorkerContext
from prefork.workers.protocol.channel import MAX_BODY, Channel, Kind, Message, encoded
from prefork.workers.protocol.exit_codes import ExitCode, ProcessMain
from prefork.workers.protocol.scoreboard import Scoreboard
from prefork.workers.server_in_worker import PassedFds, ServerInWorker
from prefork.workers.sources.base import Source

ANSWER_TIMEOUT = 2.0
"""Seconds that a worker which is about to fork waits for the master's word, and serves nobody."""


@dataclass(frozen=True)
class WorkerFactory:
    """What workers are made of, wherever they are forked."""

    server: ServerInWorker
    scoreboard: Scoreboard
    live: Callable[[WorkerContext, PassedFds], int | ProcessMain]
    """The life of a persistent worker, with the descriptors that it was passed_fds."""
    double_fork: Callable[[Callable[[], None]], bool]
    """Forks a child of the master's, whose first act is given; whether this is it."""

    def fork_server(self, channel: Channel, name: str, titles: bool) -> int | ProcessMain:
        """The life of a fork server that the master has forked itself."""
        self.server.close_foreign_listeners()
        if titles:
            title.show_role("fork server", name)
        return self._serve_orders(channel)

    def grow(
        self, context: WorkerContext, source: Source, in_flight: InFlight | None, order: Message
    ) -> ProcessMain | None:
        """Fork a mold from this worker, which goes on; in the mold, the life that it is to lead."""

        def prepare() -> None:
            context.channel.close()
            source.close_in_child()
            if in_flight is not None:
                in_flight.close_in_child()
            current.slot = None
            reset_signals(channel)
            channel.send(Message.forked())

        if order.fd is None:  # out of descriptors
            return None
        channel = Channel.over(order.fd)
        try:
            if (count := threads.count()) > 1:
                channel.send(Message(Kind.FAILED, b"it has %d threads" % count))
            elif self._is_still_to_fork(channel) and self.double_fork(prepare):
                return functools.partial(self._mold, context.config, channel)
        except OSError as error:
            channel.send(Message(Kind.FAILED, f"it could not fork it: {error.strerror}".encode()))
        channel.close()
        return None

    def _is_still_to_fork(self, channel: Channel) -> bool:
        """Ask the master, which may have given up, and has to be prepared for the fork."""
        channel.send(Message(Kind.FORK_MOLD))
        return channel.wait(ANSWER_TIMEOUT) and channel.receive() is not None

    def _mold(self, config: WorkerConfig, channel: Channel) -> int | ProcessMain:
        """The life of a mold, which is that of a fork server when it is ready."""
        if channel.wait(0):
            return ExitCode.ORPHANED  # the master has given up
        try:
            self.server.promoted()
            if (count := threads.count()) > 1:
                raise RuntimeError(f"it has left {count} threads, where there may be one")
        except BaseException as error:
            text = f"worker_promoted() raised {error!r}\n{traceback.format_exc()}"
            channel.send(Message(Kind.FAILED, encoded(text)[:MAX_BODY]))
            return ExitCode.BOOT_FAILED
        gc.collect()
        if config.gc_freeze:
            gc.freeze()
        if config.process_titles:
            title.show_role("mold", config.name)
        channel.send(Message(Kind.READY))
        return self._serve_orders(channel)

    def _serve_orders(self, channel: Channel) -> int | ProcessMain:
        """Fork a worker for each order, until the master is gone."""
        passed_fds: list[tuple[int, int]] = []
        while channel.wait(None) and (message := channel.receive()) is not None:
            if message.fd is None:
                break  # out of descriptors: the master sees that the worker's end is gone
            if message.kind is Kind.PASS_LISTENER:
                passed_fds.append((int(message.body), message.fd))
            elif message.kind is Kind.FORK_WORKER:
                newborn = Channel.over(message.fd)
                life = self._fork_worker(
                    WorkerConfig.unpacked(message.body), newborn, tuple(passed_fds), channel
                )
                if life is not None:
                    return life
                newborn.close()
                while passed_fds:
                    os.close(passed_fds.pop()[1])
        return ExitCode.TERMINATED if channel.hung_up else ExitCode.ORPHANED

    def _fork_worker(
        self, config: WorkerConfig, newborn: Channel, passed_fds: PassedFds, channel: Channel
    ) -> ProcessMain | None:
        """Fork a worker; in the worker, the life that it is to lead."""

        def prepare() -> None:
            channel.close()
            reset_signals(newborn)
            newborn.send(Message.forked())

        try:
            if not self.double_fork(prepare):
                return None
        except OSError as error:
            newborn.send(Message(Kind.FAILED, b"%d" % (error.errno or 0)))
            return None
        slot = self.scoreboard.slot(config.number)
        context = WorkerContext(config=config, slot=slot, channel=newborn)
        if config.process_titles:
            context.title().show(0)  # until it has more to say: it is a fork server no longer
        return functools.partial(self.live, context, passed_fds)
