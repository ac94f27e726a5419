"""The inside of a forker: a process that serves no request, and forks workers on order.

It has one thread, so no lock can be held by another one at a fork.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

from prefork.workers import title
from prefork.workers.birth import reset_signals
from prefork.workers.channel import Channel, Kind, Message
from prefork.workers.exits import ExitCode, Life
from prefork.workers.main import Assignment, Terms
from prefork.workers.scoreboard import Scoreboard
from prefork.workers.service import Service


@dataclass(frozen=True)
class Nursery:
    """What workers are made of, wherever they are forked."""

    service: Service
    scoreboard: Scoreboard
    live: Callable[[Assignment, tuple[int, ...]], int | Life]
    """The life of a standing worker, with the descriptors that it was lent."""
    divide: Callable[[Callable[[], None]], bool]
    """Forks a child of the master's, whose first act is given; whether this is it."""

    def forker(self, channel: Channel, name: str, titles: bool) -> int | Life:
        """The life of a forker that the master has forked itself."""
        self.service.keep_out()
        if titles:
            title.show_role("forker", name)
        return self._serve_births(channel)

    def _serve_births(self, channel: Channel) -> int | Life:
        """Fork a worker for each order, until the master is gone."""
        lent: list[int] = []
        while channel.wait(None) and (message := channel.receive()) is not None:
            if message.fd is None:
                break  # out of descriptors: the master sees that the worker's end is gone
            if message.kind is Kind.LEND:
                lent.append(message.fd)
            elif message.kind is Kind.BEAR:
                newborn = Channel.over(message.fd)
                life = self._bear(Terms.unpacked(message.body), newborn, tuple(lent), channel)
                if life is not None:
                    return life
                newborn.close()
                while lent:
                    os.close(lent.pop())
        return ExitCode.TERMINATED if channel.hung_up else ExitCode.ORPHANED

    def _bear(
        self, terms: Terms, newborn: Channel, lent: tuple[int, ...], channel: Channel
    ) -> Life | None:
        """Fork a worker; in the worker, the life that it is to lead."""

        def prepare() -> None:
            channel.close()
            reset_signals(newborn)
            newborn.send(Message.born())

        try:
            if not self.divide(prepare):
                return None
        except OSError as error:
            newborn.send(Message(Kind.FAILED, b"%d" % (error.errno or 0)))
            return None
        slot = self.scoreboard.slot(terms.number)
        assignment = Assignment(terms=terms, slot=slot, channel=newborn)
        if terms.titles:
            assignment.title().show(0)  # until it has more to say: it is a forker no longer
        return functools.partial(self.live, assignment, lent)
