"""A fork server as the master sees it: a process without threads that forks workers on order."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator

from prefork.linux.listeners import Identity
from prefork.linux.reaper import Reaper
from prefork.linux.strays import end_child, end_strays
from prefork.linux.subreaper import taking_in_orphans
from prefork.linux.syscalls import System
from prefork.workers.main import WorkerConfig
from prefork.workers.protocol.channel import Channel, Kind, Message
from prefork.workers.protocol.exit_codes import Death, ExitCode
from prefork.workers.server_in_worker import PassedFds

Adopt = Callable[[int], None]
"""Enters a worker in the books, by its pid."""

FORK_TIMEOUT = 10.0
"""Seconds that the master waits for a birth, which takes milliseconds; then the fork server counts
as stuck."""

PATIENCE = 1.0
"""Seconds that one which is not needed any more has for leaving, which takes milliseconds."""


class ForkServerError(Exception):
    """It forks no more workers; the message says why."""


class ForkServer:
    """The ties to one: orders go through its channel, its end comes through its reaper."""

    def __init__(self, channel: Channel, system: System) -> None:
        self.pid = 0
        self.channel = channel
        self._system = system
        self._reaper = Reaper(system)
        self._newborn = 0  # the last pid that it has announced
        self.listeners: list[Identity | None] = []
        """Those that there were when it was forked."""
        self.severity = logging.WARNING
        """Of its end, for the log: somebody may have ended the whole group by SIGTERM."""

    def fileno(self) -> int:
        """A descriptor that is readable when it has ended."""
        return self._reaper.fileno()

    def adopt(self, pid: int) -> None:
        """It is there."""
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
        """Have a worker forked with the channel `theirs`, which is closed here, and adopted.

        Where other threads live somebody's exception may come in between (see `signals_blocked`);
        who is born all the same is in the books before that goes on.

        Errors: `OSError` when there can be no more processes, `ForkServerError` when this one is of
        no more use.
        """
        orders = [Message(Kind.PASS_LISTENER, b"%d" % number, fd) for number, fd in passed_fds]
        orders.append(Message(Kind.FORK_WORKER, config.packed(), theirs.fileno()))
        with taking_in_orphans():
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
        """The pid of the worker that is being forked. If that fails, nobody is left of its birth.

        Errors: those of `fork_worker()`.
        """
        try:
            self._newborn = self._answer(ours)
        except OSError:
            self._end_unannounced(ours)
            raise
        except ForkServerError:
            self._kill()
            self._end_unannounced(ours)
            raise
        return self._newborn

    def _answer(self, ours: Channel) -> int:
        if not ours.wait(FORK_TIMEOUT):
            raise self._error(f"has not forked a worker within {FORK_TIMEOUT:g} s")
        answer = ours.peek()  # whatever may come in between, its number is not lost
        if answer is None:
            raise self._error("has not forked a worker that it was told to fork")
        if answer.kind is Kind.FAILED:
            error = int(answer.body)
            raise OSError(error, os.strerror(error))
        return int(answer.body)

    def _end_unannounced(self, ours: Channel) -> None:
        """End whoever has come here by a birth that has failed.

        Who bears the name of a birth no more has said its number before.
        """
        ended = end_strays(self.pid)
        with contextlib.suppress(BlockingIOError):
            while (message := ours.receive()) is not None:
                if message.kind is Kind.FORKED and (pid := int(message.body)) not in ended:
                    end_child(pid)

    def news(self) -> Iterator[Message]:
        """What it has said, before it forks workers.

        Errors: `ForkServerError` when it has ended.
        """
        while True:
            try:
                message = self.channel.receive()
            except BlockingIOError:
                return
            if message is None:
                raise ForkServerError("it ended before it was ready")
            yield message

    def collect(self) -> Death | None:
        """Its end, if that has come."""
        return self._wait_for_end(0.0)

    def _wait_for_end(self, timeout: float | None) -> Death | None:
        """The same, but wait for it; whoever it was about to fork is ended."""
        for death in self._reaper.collect(timeout):
            if death.status == ExitCode.TERMINATED:
                self.severity = logging.INFO
            if death.is_violent:
                end_strays(self.pid, self._newborn)
            return death
        return None

    def _error(self, why: str) -> ForkServerError:
        """That it has ended is a better reason than any consequence of it."""
        death = self.collect()
        return ForkServerError(why if death is None else death.sentence)

    def end(self, *, at_once: bool = False) -> None:
        """End it, and collect it: `at_once`, if it is not waiting for orders.

        It leaves when its channel does, once it has collected whatever it has forked.
        """
        self.channel.close()
        deadline = self._system.clock() + (0.0 if at_once else PATIENCE)
        while len(self._reaper) and (left := deadline - self._system.clock()) > 0:
            self._wait_for_end(left)
        self._kill()
        self._reaper.close()

    def _kill(self) -> None:
        self._reaper.send_signal(self.pid, signal.SIGKILL)
        while len(self._reaper):
            self._wait_for_end(None)

    def close_in_child(self) -> None:
        """In a forked child: drop the master's ends."""
        self.channel.close()
        self._reaper.forget()
