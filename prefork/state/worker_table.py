"""The books of a pool: which place is taken by whom, and the arithmetic of too few and too many.

No system call is made here; the master does what these books say.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass

from prefork.policies.restarts import is_newborn
from prefork.state.lifecycle import WORKER_TRANSITIONS, WorkerEvent, WorkerState, advance
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.exit_codes import ExitCode
from prefork.workers.protocol.scoreboard import Reading, State


@dataclass
class WorkerRecord:
    """One worker: its place, its process, and what the master knows of it.

    `started` is in seconds of the monotonic clock. `generation` is the pool's when it was forked.
    `persistent` is false for a worker that serves one request and then ends, `proved` true once it
    is no newborn any more. `may_stop` says whether its handlers may stop the server, `may_fork`
    whether it was told to fork a mold. `failure` is the traceback of a failed start.
    """

    slot: int
    pid: int
    channel: Channel
    started: float
    persistent: bool = True
    generation: int = 0
    state: WorkerState = WorkerState.STARTING
    was_ready: bool = False
    proved: bool = False
    may_stop: bool = True
    may_fork: bool = False
    failure: str = ""

    @property
    def may_stop_now(self) -> bool:
        """Not if it serves a single request, nor if it is left over from an earlier run."""
        return self.may_stop and self.state is not WorkerState.RETIRING

    def is_newborn(self, reading: Reading, now: float) -> bool:
        """Whether it has yet to prove itself, by what it has written on the scoreboard."""
        taken = reading.served + (reading.state is State.BUSY)
        return is_newborn(self.was_ready, taken, now - self.started)

    def blames_start(self, status: int | None, reading: Reading, now: float) -> bool:
        """Whether its death makes it likely that the next worker dies in the same way."""
        left = status in (ExitCode.RECYCLED, ExitCode.TERMINATED)
        asked = left or self.state is WorkerState.RETIRING
        # SIGKILL comes from outside: somebody's doing, not the start's.
        forced = self.was_ready and status == -signal.SIGKILL
        return self.persistent and not asked and not forced and self.is_newborn(reading, now)

    def note(self, event: WorkerEvent) -> None:
        self.state = advance(WORKER_TRANSITIONS, self.state, event)
        self.was_ready |= event is WorkerEvent.READY


class WorkerTable:
    """At most one worker in each slot; slots are numbered from 0, the lowest free one is next."""

    def __init__(self) -> None:
        self._by_slot: dict[int, WorkerRecord] = {}
        self._by_pid: dict[int, WorkerRecord] = {}
        self.changes = 0
        """How often anything has changed that the size of the pool depends on."""

    def __len__(self) -> int:
        return len(self._by_slot)

    def __iter__(self) -> Iterator[WorkerRecord]:
        return iter(list(self._by_slot.values()))

    def by_slots(self) -> list[WorkerRecord]:
        return [self._by_slot[slot] for slot in sorted(self._by_slot)]

    def starting(self) -> list[WorkerRecord]:
        return [record for record in self if record.state is WorkerState.STARTING]

    def free_slot(self) -> int:
        slot = 0
        while slot in self._by_slot:
            slot += 1
        return slot

    def add(self, record: WorkerRecord) -> None:
        self.changes += 1
        self._by_slot[record.slot] = record
        self._by_pid[record.pid] = record

    def note(self, record: WorkerRecord, event: WorkerEvent) -> None:
        self.changes += 1
        record.note(event)

    def discount(self, record: WorkerRecord) -> None:
        """It does not stand ready any more, and will end by itself."""
        self.changes += 1
        record.persistent = False

    def holds(self, slot: int) -> bool:
        return slot in self._by_slot

    def by_pid(self, pid: int) -> WorkerRecord | None:
        return self._by_pid.get(pid)

    def by_slot(self, slot: int) -> WorkerRecord:
        return self._by_slot[slot]

    def remove(self, record: WorkerRecord) -> None:
        self.note(record, WorkerEvent.EXITED)
        del self._by_slot[record.slot], self._by_pid[record.pid]

    def pids(self) -> set[int]:
        return set(self._by_pid)

    def count(self, *states: WorkerState) -> int:
        return sum(record.state in states for record in self._by_slot.values())

    def missing(self, wanted: int, most: int) -> int:
        """Persistent workers to start: up to `wanted`, and never more than `most` processes."""
        return max(0, min(wanted - len(self.persistent()), most - len(self)))

    def surplus(self, wanted: int) -> int:
        """Persistent workers that are more than `wanted`."""
        return max(0, len(self.persistent()) - wanted)

    def persistent(self) -> list[WorkerRecord]:
        """Workers that are ready for more than one request, or will be."""
        here = (WorkerState.STARTING, WorkerState.SERVING)
        return [r for r in self._by_slot.values() if r.persistent and r.state in here]
