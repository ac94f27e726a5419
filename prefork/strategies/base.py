"""What strategies differ in, and what most of them have in common.

A strategy says who takes a request and how it comes to a worker. It answers for the master (how
many workers stand ready, whether the master shall take requests, what becomes of those it took),
for the backlog (what is shared with the workers, what waits there, who is to empty it), and in each
worker (where its requests come from). Spawning, reaping, deadlines and limits are the same for all.
"""

from __future__ import annotations

from typing import Any

from prefork.host import Host
from prefork.pool import Pool, WorkerRecord
from prefork.workers.channel import Kind, Message
from prefork.workers.main import Assignment
from prefork.workers.room import Room
from prefork.workers.sources import Source


class Strategy:
    """One for each run of a pool. Here: no worker stands ready, the master takes every request."""

    workers_take = False
    """Whether workers take requests from the backlog themselves, to its end."""

    def __init__(self, host: Host, pool: Pool) -> None:
        self.host = host
        self.pool = pool

    # -- for the master ----------------------------------------------------------------------

    def standing(self, most: int) -> int:
        """How many workers to keep, of `most` allowed."""
        return 0

    def wants_listener(self, most: int) -> bool:
        """Whether the master shall take requests now; otherwise they wait in the backlog."""
        return len(self.pool) < most

    def place(self, request: Any, client_address: Any) -> bool:
        """Bring a request that the master took to a worker that stands ready.

        Returns whether there was one; if not, a worker is forked for it.
        """
        return False

    def hear(self, record: WorkerRecord, message: Message) -> None:
        """Note what a worker has said that only this strategy's workers say.

        Errors: `AssertionError`: here they say nothing.
        """
        raise AssertionError(f"Worker {record.slot} says {message.kind.name}: nobody understands.")

    def forget(self, record: WorkerRecord) -> None:
        """Note that a worker is gone."""

    # -- the backlog -------------------------------------------------------------------------

    def open(self) -> None:
        """Workers are going to be forked: make ready what they share."""

    def close(self) -> None:
        """No worker is left."""

    def something_waits(self) -> bool:
        """Whether there is a request now that only a worker can take."""
        return False

    def waiting_at_most(self) -> int:
        """How many such requests there can be now."""
        return 0

    def last_order(self, record: WorkerRecord) -> Message:
        """What a worker is told when the loop has ended."""
        return Message(Kind.RETIRE)

    # -- in a worker -------------------------------------------------------------------------

    def source(self, given: Assignment, room: Room | None) -> Source:
        """Where a worker that stands ready finds its requests.

        Errors: `AssertionError`: here none does.
        """
        raise AssertionError("No worker stands ready under this strategy.")
