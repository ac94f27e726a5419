"""The promotion of a mold: from the order to a worker until the mold can fork workers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from prefork.linux.stray_children import end_strays
from prefork.linux.subreaper import adopting_orphans
from prefork.linux.syscalls import System
from prefork.master.fork_server import FORK_TIMEOUT, ForkServer, ForkServerError
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Kind, Message


class MoldPromotion:
    """A mold that a worker was told to fork, until it is ready.

    A busy worker reads the order later. It asks the master before it forks, so that the master
    adopts orphans only during the fork, and nothing is forked after the master has given up.
    """

    def __init__(self, parent: WorkerRecord, deadline: float, system: System) -> None:
        self.parent = parent
        self.deadline = deadline
        ours, theirs = Channel.pair()
        self.mold = ForkServer(ours, system)
        self._system = system
        self._orphans = contextlib.ExitStack()
        self._fork_deadline: float | None = None  # while the worker forks
        self._strays: set[int] = set()
        try:
            parent.may_fork = True
            parent.channel.send(Message(Kind.FORK_MOLD, fd=theirs.fileno()))
        except BaseException:
            self.mold.end()
            raise
        finally:
            theirs.close()

    def is_ready(self) -> bool:
        """Whether workers can be forked from the mold.

        Errors: `ForkServerError` if they never can; `OSError` if the kernel does not let this
        process adopt orphans.
        """
        for message in self.mold.news():
            if message.kind is Kind.FORK_MOLD:
                self._orphans.enter_context(adopting_orphans())
                self._fork_deadline = self._system.clock() + FORK_TIMEOUT
                self.mold.channel.send(Message(Kind.FORK_MOLD))
            elif message.kind is Kind.FORKED:
                self._note_forked(int(message.body))
            elif message.kind is Kind.READY:
                return True
            else:
                raise ForkServerError(message.body.decode("utf-8", "replace"))
        if self._system.clock() >= self.deadline:
            raise ForkServerError("it was not ready within the start_timeout")
        return False

    def note_exit_of_parent(self) -> None:
        """Note that the worker was killed, possibly while it was forking."""
        self._strays |= end_strays(self.parent.pid, self.mold.pid)

    def end(self, kill_parent: Callable[[], None]) -> None:
        """Give up: wait for a mold that is being forked, and end it.

        `kill_parent()` kills the worker; it is called if the fork takes too long.
        """
        while self._fork_deadline is not None:
            left = self._fork_deadline - self._system.clock()
            if not self.mold.channel.wait(max(left, 0.0)):
                kill_parent()
                break
            if not self._hear_of_fork():
                break
        if self._fork_deadline is not None:
            self._strays |= end_strays(self.parent.pid)
            while self._hear_of_fork():
                pass  # a process without the name of a forking one has already sent its pid
        self._orphans.close()
        self.mold.end(at_once=True)

    def _hear_of_fork(self) -> bool:
        """Read one message from the mold's channel; return whether there was one."""
        try:
            message = self.mold.channel.receive()
        except BlockingIOError:
            return False
        if message is not None and message.kind is Kind.FORKED:
            self._note_forked(int(message.body))
        return message is not None

    def _note_forked(self, pid: int) -> None:
        if pid not in self._strays:
            self.mold.adopt(pid)
            self._fork_deadline = None
            self._orphans.close()
