"""The master's view of a fork server: a process with one thread that forks workers on demand."""

from __future__ import annotations

import contextlib
import logging
import math
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
"""Enters the worker with this pid in the table."""

FORK_TIMEOUT = 10.0
"""Seconds that the master waits for a fork, which usually takes milliseconds; then it kills the
process that forks."""

EXIT_TIMEOUT = 1.0
"""Seconds that a fork server is given to exit, which usually takes milliseconds; then it is
killed."""


class ForkServerError(Exception):
    """A fork server can no longer fork workers; the message says why."""


class ForkServer:
    """A fork server or a mold; its channel carries orders, and a reaper reports its exit."""

    def __init__(self, channel: Channel, system: System) -> None:
        self.pid = 0
        self.channel = channel
        self._system = system
        self._reaper = Reaper(system)
        self._last_forked = 0  # the last pid that it reported
        self.listeners: list[Identity | None] = []
        """The server's listeners when it was forked."""
        self.severity = logging.WARNING
        """The level at which its exit is logged; lower after SIGTERM, which may have been sent to
        the whole process group."""

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when it exits."""
        return self._reaper.fileno()

    def adopt(self, pid: int) -> None:
        """Note that it was forked, with this pid."""
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

        If the master has other threads, a signal handler may raise an exception during this call
        (see `signals_blocked`). A worker that is forked anyway is in the table before the exception
        propagates.

        Errors: `OSError` if no process can be forked, `ForkServerError` if this fork server can no
        longer fork workers.
        """
        orders = [Message(Kind.PASS_LISTENER, b"%d" % number, fd) for number, fd in passed_fds]
        orders.append(Message(Kind.FORK_WORKER, config.packed(), theirs.fileno()))
        with adopting_orphans():
            try:
                if not all(self.channel.send(order) for order in orders):
                    error = self._error("does not accept orders", exiting=self.channel.broken)
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
        """Return the pid of the worker that is being forked; after an error, no process is left.

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
            raise self._error(f"did not fork a worker within {FORK_TIMEOUT:g} s")
        answer = ours.peek()  # it stays in the channel in case a signal handler raises now
        if answer is None:
            raise self._error("did not fork a worker when it was ordered to", exiting=True)
        if answer.kind is Kind.FAILED:
            error = int(answer.body)
            raise OSError(error, os.strerror(error))
        return int(answer.body)

    def _end_unannounced(self, ours: Channel) -> None:
        """End the processes that a failed fork has left as children of the master.

        A child that no longer has the name of a forking process has already sent its pid.
        """
        ended = end_strays(self.pid)
        with contextlib.suppress(BlockingIOError):
            while (message := ours.receive()) is not None:
                if message.kind is Kind.FORKED and (pid := int(message.body)) not in ended:
                    end_child(pid)

    def news(self) -> Iterator[Message]:
        """Yield the messages that it sends before it can fork workers.

        Errors: `ForkServerError` if it has exited.
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
        """Return its death, or `None` while it runs."""
        return self._wait_for_exit(0.0)

    def _wait_for_exit(self, timeout: float) -> Death | None:
        """Wait until it exits, at most `timeout` seconds; end what an interrupted fork has left."""
        deadline = self._system.clock() + timeout
        while len(self._reaper):
            left = max(0.0, deadline - self._system.clock())
            for death in self._reaper.collect(left):
                if death.status == ExitCode.TERMINATED:
                    self.severity = logging.INFO
                if death.is_violent:
                    end_strays(self.pid, self._last_forked)
                return death
            if not left:
                break
        return None

    def _error(self, why: str, *, exiting: bool = False) -> ForkServerError:
        """Return the error for `why`, or, if it has exited, for its death.

        With `exiting`, its channel is closed: the kernel closes that before it reports the exit.
        """
        death = self._wait_for_exit(EXIT_TIMEOUT if exiting else 0.0)
        return ForkServerError(why if death is None else death.sentence)

    def end(self, *, at_once: bool = False) -> None:
        """End and reap it.

        It exits when its channel is closed, after it has reaped the processes that it forked. With
        `at_once`, it is killed instead: use this if it is not waiting for orders.
        """
        self.channel.close()
        self._wait_for_exit(0.0 if at_once else EXIT_TIMEOUT)
        self._kill()
        self._reaper.close()

    def _kill(self) -> None:
        self._reaper.send_signal(self.pid, signal.SIGKILL)
        self._wait_for_exit(math.inf)

    def close_in_child(self) -> None:
        """Close the master's descriptors in a forked child."""
        self.channel.close()
        self._reaper.forget()
