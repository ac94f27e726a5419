"""Forking workers outside the master: in a fork server, or in a mold.

Both are processes that serve no requests and fork workers when the master orders it. They have one
thread, so that no other thread can hold a lock at a fork. The master forks the fork server; a warm
worker forks the mold, which inherits all that the worker has in memory.
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
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.exit_codes import ExitCode, ProcessMain
from prefork.workers.protocol.messages import MAX_BODY, Kind, Message, encoded
from prefork.workers.protocol.scoreboard import Scoreboard
from prefork.workers.server_in_worker import PassedFds, ServerInWorker
from prefork.workers.sources.base import Source

ANSWER_TIMEOUT = 2.0
"""Seconds that a worker waits for the master's answer before it forks a mold."""


@dataclass(frozen=True)
class WorkerFactory:
    """Forks workers in a fork server or a mold."""

    server: ServerInWorker
    scoreboard: Scoreboard
    live: Callable[[WorkerContext, PassedFds], int | ProcessMain]
    """Runs a persistent worker, with the descriptors that were passed to it."""
    double_fork: Callable[[Callable[[], None]], bool]
    """Forks a child of the master, which first calls the given function. Returns whether this
    process is that child."""

    def fork_server(self, channel: Channel, name: str, titles: bool) -> int | ProcessMain:
        """Run a fork server that the master has forked."""
        self.server.close_foreign_listeners()
        if titles:
            title.show_role("fork server", name)
        return self._serve_orders(channel)

    def fork_mold(
        self, context: WorkerContext, source: Source, in_flight: InFlight | None, order: Message
    ) -> ProcessMain | None:
        """Fork a mold from this worker, which continues.

        Returns the mold's main function in the mold, and `None` in the worker.
        """

        def prepare() -> None:
            context.channel.close()
            source.close_in_child()
            if in_flight is not None:
                in_flight.close_in_child()
            current.slot = current.in_flight = None
            reset_signals(channel)
            channel.send(Message.forked())

        if order.fd is None:  # out of descriptors
            return None
        channel = Channel.over(order.fd)
        try:
            if (count := threads.count()) > 1:
                channel.send(Message(Kind.FAILED, b"it has %d threads" % count))
            elif self._is_confirmed(channel) and self.double_fork(prepare):
                return functools.partial(self._mold, context.config, channel)
        except OSError as error:
            channel.send(Message(Kind.FAILED, f"it could not fork: {error.strerror}".encode()))
        channel.close()
        return None

    def _is_confirmed(self, channel: Channel) -> bool:
        """Ask the master whether to fork the mold.

        It may have given up; if not, it must prepare for the fork.
        """
        channel.send(Message(Kind.FORK_MOLD))
        return channel.wait(ANSWER_TIMEOUT) and channel.receive() is not None

    def _mold(self, config: WorkerConfig, channel: Channel) -> int | ProcessMain:
        """Run a mold, which works as a fork server once it is ready."""
        if channel.wait(0):
            return ExitCode.ORPHANED  # the master has given up
        try:
            self.server.promoted()
            if (count := threads.count()) > 1:
                raise RuntimeError(
                    f"{count} threads are left after worker_promoted(); a mold may have only one"
                )
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
        """Fork a worker for each order until the master exits."""
        passed_fds: list[tuple[int, int]] = []
        while channel.wait(None) and (message := channel.receive()) is not None:
            if message.fd is None:
                break  # out of descriptors: the master sees that the worker's end is closed
            if message.kind is Kind.PASS_LISTENER:
                passed_fds.append((int(message.body), message.fd))
            elif message.kind is Kind.FORK_WORKER:
                worker_end = Channel.over(message.fd)
                process = self._fork_worker(
                    WorkerConfig.unpacked(message.body), worker_end, tuple(passed_fds), channel
                )
                if process is not None:
                    return process
                worker_end.close()
                while passed_fds:
                    os.close(passed_fds.pop()[1])
        return ExitCode.TERMINATED if channel.hung_up else ExitCode.ORPHANED

    def _fork_worker(
        self, config: WorkerConfig, worker_end: Channel, passed_fds: PassedFds, channel: Channel
    ) -> ProcessMain | None:
        """Fork a worker. Return its main function in the worker, and `None` in this process."""

        def prepare() -> None:
            channel.close()
            reset_signals(worker_end)
            worker_end.send(Message.forked())

        try:
            if not self.double_fork(prepare):
                return None
        except OSError as error:
            worker_end.send(Message(Kind.FAILED, b"%d" % (error.errno or 0)))
            return None
        slot = self.scoreboard.slot(config.number)
        context = WorkerContext(config=config, slot=slot, channel=worker_end)
        if config.process_titles:
            context.title().show(0)  # this process is no longer a fork server
        return functools.partial(self.live, context, passed_fds)
