"""`handoff`: the master takes each request and hands its descriptor to a worker that is idle."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from prefork.host import Host
from prefork.lifecycle import WorkerState
from prefork.pool import Pool, WorkerRecord
from prefork.strategies.base import Lent, ReadSlot, Strategy
from prefork.workers.channel import Kind, Message
from prefork.workers.main import Assignment
from prefork.workers.room import Room
from prefork.workers.sources.base import Source
from prefork.workers.sources.handed import HandedOver

logger = logging.getLogger("prefork")


@dataclass
class Hands:
    """What one worker was given. `kept` are copies of what it may not have begun yet, in order."""

    record: WorkerRecord
    given: int = 0
    done: int = 0
    leaving: bool = False
    kept: deque[Message] = field(default_factory=deque)

    def forget_begun(self, taken: int) -> None:
        """Close the copies of the requests that it has begun: so many, counted from its birth."""
        while len(self.kept) > self.given - taken:
            self.kept.popleft().close()


class Handoff(Strategy):
    """Keeps who has how many requests in hand; the next one goes to who has waited longest.

    A worker says when it is done, so this is exact: no request waits behind another while a worker
    is idle, and the master takes none before one is. What a worker had not begun when it died is
    given to another.
    """

    hands_over = True

    def __init__(self, host: Host, pool: Pool, read_slot: ReadSlot) -> None:
        super().__init__(host, pool, read_slot)
        self._hands: dict[int, Hands] = {}
        self._line: OrderedDict[int, Hands] = OrderedDict()
        self._returned: deque[Message] = deque()
        self._all_travel = True

    def standing(self, most: int) -> int:
        return most if self._all_travel else super().standing(most)

    def wants_listener(self, most: int) -> bool:
        if not self._all_travel:
            return super().wants_listener(most)
        return not self._returned and self._first_in_line() is not None

    def begin(self) -> None:
        self._all_travel = True

    def end(self) -> None:
        for hands in self._hands.values():
            hands.forget_begun(self._taken_by(hands.record))

    def place(self, request: Any, client_address: Any) -> bool:
        parcel = self.host.pack(request, client_address)
        if parcel is None:
            self._note_that_requests_stay()
            return False
        if self._first_in_line() is None:
            return False
        body, fd = parcel
        message = Message(Kind.TAKE, body, None if fd is None else os.dup(fd))
        if self._give(message):
            return True
        message.close()
        return False

    def ready(self, record: WorkerRecord) -> None:
        if record.standing:
            self._put_in_line(self._hands.setdefault(record.pid, Hands(record)))

    def hear(self, record: WorkerRecord, message: Message) -> None:
        hands = self._hands.get(record.pid)
        if hands is None:
            return  # it was killed
        if message.kind is Kind.DONE:
            hands.done += 1
            all_done = hands.done == hands.given
            hands.forget_begun(hands.given if all_done else self._taken_by(record))
            self._put_in_line(hands)
        elif message.kind is Kind.LEAVING:
            hands.leaving = True
            self._line.pop(record.pid, None)
            record.channel.send(Message(Kind.RETIRE))

    def forget(self, record: WorkerRecord) -> None:
        self._line.pop(record.pid, None)
        hands = self._hands.pop(record.pid, None)
        if hands is not None:
            hands.forget_begun(self._taken_by(record))
            self._returned.extend(hands.kept)
            self._give_returned()

    def returned(self) -> Message | None:
        return self._returned.popleft() if self._returned else None

    def holds_some(self) -> bool:
        return bool(self._returned)

    def close(self) -> None:
        self.let_go()
        self._returned.clear()
        self._hands.clear()

    def let_go(self) -> None:
        for message in self._returned:
            message.close()
        for hands in self._hands.values():
            for message in hands.kept:
                message.close()

    def source(self, given: Assignment, room: Room | None, lent: Lent) -> Source:
        return HandedOver(self.host, given.channel, room)

    def _first_in_line(self) -> Hands | None:
        """Who is to have the next request; retired workers lose their place."""
        while self._line:
            hands = next(iter(self._line.values()))
            if hands.record.state is WorkerState.SERVING:
                return hands
            del self._line[hands.record.pid]
        return None

    def _give(self, message: Message) -> bool:
        while (hands := self._first_in_line()) is not None:
            del self._line[hands.record.pid]
            # Not sent: the worker is gone, or its channel is full; it will be heard of.
            if hands.record.channel.send(message):
                hands.given += 1
                hands.kept.append(message)
                self._join_line(hands)
                return True
        return False

    def _put_in_line(self, hands: Hands) -> None:
        self._join_line(hands)
        self._give_returned()

    def _join_line(self, hands: Hands) -> None:
        bound = self.host.threads()
        most = 1 if bound is None else bound
        if not hands.leaving and (not most or hands.given - hands.done < most):
            self._line[hands.record.pid] = hands

    def _give_returned(self) -> None:
        while self._returned and self._give(self._returned[0]):
            self._returned.popleft()

    def _taken_by(self, record: WorkerRecord) -> int:
        reading = self.read_slot(record)
        return reading.served + reading.in_flight

    def _note_that_requests_stay(self) -> None:
        if self._all_travel:
            self._all_travel = False
            logger.warning(
                "Requests of this server cannot be handed to another process (a TLS connection, "
                "say); from now on a worker is forked for each, as under the strategy fork."
            )
