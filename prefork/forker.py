"""A forker as the master sees it: a process without threads that forks workers on order."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator

from prefork.listener import Identity
from prefork.reaper import Death, Reaper
from prefork.strays import end_child, end_strays
from prefork.subreaper import taking_in_orphans
from prefork.system import System
from prefork.workers.channel import Channel, Kind, Message
from prefork.workers.exits import ExitCode
from prefork.workers.main import Terms
from prefork.workers.service import Lent

Adopt = Callable[[int], None]
"""Enters a worker in the books, by its pid."""

BIRTH_TIMEOUT = 10.0
"""Seconds that the master waits for a birth, which takes milliseconds; then the forker counts as
stuck."""

PATIENCE = 1.0
"""Seconds that one which is not needed any more has for leaving, which takes milliseconds."""


class ForkerError(Exception):
    """It forks no more workers; the message says why."""


class Forker:
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

    def bear(self, terms: Terms, ours: Channel, theirs: Channel, adopt: Adopt, lent: Lent) -> None:
        """Have a worker forked with the channel `theirs`, which is closed here, and adopted.

        Where other threads live somebody's exception may come in between (see `held_back`); who is
        born all the same is in the books before that goes on.

        Errors: `OSError` when there can be no more processes, `ForkerError` when this one is of no
        more use.
        """
        orders = [Message(Kind.LEND, b"%d" % number, fd) for number, fd in lent]
        orders.append(Message(Kind.BEAR, terms.packed(), theirs.fileno()))
        with taking_in_orphans():
            try:
                if not all(self.channel.send(order) for order in orders):
                    error = self._error("takes no orders")
                    self._kill()
                    raise error
                theirs.close()
                adopt(self._announced(ours))
            except (OSError, ForkerError):
                raise
            except BaseException:
                theirs.close()
                with contextlib.suppress(OSError, ForkerError):
                    adopt(self._announced(ours))
                raise

    def _announced(self, ours: Channel) -> int:
        """The pid of the worker that is being forked. If that fails, nobody is left of its birth.

        Errors: those of `bear()`.
        """
        try:
            self._newborn = self._answer(ours)
        except OSError:
            self._end_unannounced(ours)
            raise
        except ForkerError:
            self._kill()
            self._end_unannounced(ours)
            raise
        return self._newborn

    def _answer(self, ours: Channel) -> int:
        if not ours.wait(BIRTH_TIMEOUT):
            raise self._error(f"has not forked a worker within {BIRTH_TIMEOUT:g} s")
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
                if message.kind is Kind.BORN and (pid := int(message.body)) not in ended:
                    end_child(pid)

    def news(self) -> Iterator[Message]:
        """What it has said, before it forks workers.

        Errors: `ForkerError` when it has ended.
        """
        while True:
            try:
                message = self.channel.receive()
            except BlockingIOError:
                return
            if message is None:
                raise ForkerError("it ended before it was ready")
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

    def _error(self, why: str) -> ForkerError:
        """That it has ended is a better reason than any consequence of it."""
        death = self.collect()
        return ForkerError(why if death is None else death.sentence)

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

    def let_go(self) -> None:
        """In a forked child: drop the master's ends."""
        self.channel.close()
        self._reaper.forget()
