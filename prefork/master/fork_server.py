"""A fork server as the master sees it: a process without threads that forks workers on order."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator

from prefork.linux.listening_sockets import Identity
from prefork.linux.reaper import Reaper
from prefork.linux.stray_children import end_child, end_strays
from prefork.linux.subreaper import adopting_orphans
from prefork.linux.syscalls import System
from prefork.workers.main import WorkerConfig
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.exit_codes import Death, ExitCode
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.server_in_worker import PassedFds

Adopt = Callable[[int], None]
"""Enters a new worker in the table, by its pid."""

FORK_TIMEOUT = 10.0
"""Seconds that the master waits for a fork, which takes milliseconds; then it kills the forking
process."""

EXIT_TIMEOUT = 1.0
"""Seconds that a fork server has for its exit, which takes milliseconds; then it is killed."""


class ForkServerError(Exception):
    """A fork server can fork no more workers; the message says why."""


class ForkServer:
    """A fork server, or a mold: orders go through its channel, a reaper reports its exit."""

    def __init__(self, channel: Channel, system: System) -> None:
        self.pid = 0
        self.channel = channel
        self._system = system
        self._reaper = Reaper(system)
        self._last_forked = 0  # the pid that it has announced last
        self.listeners: list[Identity | None] = []
        """The server's listeners when it was forked."""
        self.severity = logging.WARNING
        """The level at which its exit is logged: lower after SIGTERM, which may have been sent to
        the whole process group."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when it has exited."""
        return self._reaper.fileno()

    def adopt(self, pid: int) -> None:
        """Note that it was forked."""
        self.pid = pid
        self._reaper.adopt(pid)

    def fork_worker(
        self,
        config: WorkerConfig,
        ours: Channel,
        theirs: Channel,
        adopt: Adopt,
        passed_fds: PassedFds,
    ) -> None:
        """Have a worker forked with the channel `theirs`, which is closed here; pass on its pid.

        With other threads alive, a signal handler may raise in between (see `signals_blocked`). A
        worker that is forked all the same is in the table before the exception propagates.

        Errors: `OSError` when there can be no more processes, `ForkServerError` when this process
        can fork no more.
        """
        orders = [Message(Kind.PASS_LISTENER, b"%d" % number, fd) for number, fd in passed_fds]
        orders.append(Message(Kind.FORK_WORKER, config.packed(), theirs.fileno()))
        with adopting_orphans():
            try:
                if not all(self.channel.send(order) for order in orders):
                    error = self._error("takes no orders")
                    self._kill()
                    raise error
                theirs.close()
                adopt(self._announced(ours))
            except (OSError, ForkServerError):
                raise
            except BaseException:
                theirs.close()
                with contextlib.suppress(OSError, ForkServerError):
                    adopt(self._announced(ours))
                raise

    def _announced(self, ours: Channel) -> int:
        """Return the pid of the worker that is being forked; after an error, none of it is left.

        Errors: those of `fork_worker()`.
        """
        try:
            self._last_forked = self._answer(ours)
        except OSError:
            self._end_unannounced(ours)
            raise
        except ForkServerError:
            self._kill()
            self._end_unannounced(ours)
            raise
        return self._last_forked

    def _answer(self, ours: Channel) -> int:
        if not ours.wait(FORK_TIMEOUT):
            raise self._error(f"has not forked a worker within {FORK_TIMEOUT:g} s")
        answer = ours.peek()  # it stays in the channel, should a signal handler raise now
        if answer is None:
            raise self._error("has not forked a worker that it was told to fork")
        if answer.kind is Kind.FAILED:
            error = int(answer.body)
            raise OSError(error, os.strerror(error))
        return int(answer.body)

    def _end_unannounced(self, ours: Channel) -> None:
        """End the processes that a failed fork has left in this one.

        A process that is not named as forking any more has sent its pid before.
        """
        ended = end_strays(self.pid)
        with contextlib.suppress(BlockingIOError):
            while (message := ours.receive()) is not None:
                if message.kind is Kind.FORKED and (pid := int(message.body)) not in ended:
                    end_child(pid)

    def news(self) -> Iterator[Message]:
        """Yield the messages that it has sent before it can fork workers.

        Errors: `ForkServerError` when it has exited.
        """
        while True:
            try:
                message = self.channel.receive()
            except BlockingIOError:
                return
            if message is None:
                raise ForkServerError("it exited before it was ready")
            yield message

    def collect(self) -> Death | None:
        """Return its exit, if it has exited."""
        return self._wait_for_exit(0.0)

    def _wait_for_exit(self, timeout: float | None) -> Death | None:
        """Wait for its exit, at most `timeout` seconds; end what it was about to fork."""
        for death in self._reaper.collect(timeout):
            if death.status == ExitCode.TERMINATED:
                self.severity = logging.INFO
            if death.is_violent:
                end_strays(self.pid, self._last_forked)
            return death
        return None

    def _error(self, why: str) -> ForkServerError:
        """Return the error for `why`, or for the exit that has caused it."""
        death = self.collect()
        return ForkServerError(why if death is None else death.sentence)

    def end(self, *, at_once: bool = False) -> None:
        """End and reap it; kill it `at_once` if it does not wait for orders.

        Otherwise it exits when its channel is closed, after it has reaped what it forked.
        """
        self.channel.close()
        deadline = self._system.clock() + (0.0 if at_once else EXIT_TIMEOUT)
        while len(self._reaper) and (left := deadline - self._system.clock()) > 0:
            self._wait_for_exit(left)
        self._kill()
        self._reaper.close()

    def _kill(self) -> None:
        self._reaper.send_signal(self.pid, signal.SIGKILL)
        while len(self._reaper):
            self._wait_for_exit(None)

    def close_in_child(self) -> None:
        """In a forked child: close the master's descriptors."""
        self.channel.close()
        self._reaper.forget()
