"""The table of a pool's workers, and the number missing or surplus. No system calls."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prefork.policies.restarts import is_unproven
from prefork.state.lifecycle import WORKER_TRANSITIONS, WorkerEvent, WorkerState, advance
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.exit_codes import ExitCode
from prefork.workers.protocol.scoreboard import Reading, State


@dataclass
class WorkerRecord:
    """One worker: its slot, its process, and what the master knows about it.

    `started` is in seconds of the monotonic clock. `generation` is that of the pool at the fork.
    `persistent` is false for a worker that serves one request and then exits; `proved` is true once
    its start has proved to be sound. `may_stop` says whether its handlers may stop the server,
    `may_fork` whether it was told to fork a mold. `sigkill_sent` is true as soon as the master has
    killed it. `failure` is the traceback of a failed start.
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
    sigkill_sent: bool = False
    failure: str = ""

    @property
    def may_stop_now(self) -> bool:
        """Whether its handlers may stop the server now; false for a worker of an earlier run."""
        return self.may_stop and self.state is not WorkerState.RETIRING

    def is_unproven(self, reading: Reading, now: float) -> bool:
        """Whether what it has served so far does not yet prove that its start was sound."""
        taken = reading.served + (reading.state is State.BUSY)
        return is_unproven(self.was_ready, taken, now - self.started)

    def blames_start(self, status: int | None, reading: Reading, now: float) -> bool:
        """Whether its death makes it likely that the next worker dies in the same way."""
        left = status in (ExitCode.RECYCLED, ExitCode.TERMINATED)
        asked = left or self.state is WorkerState.RETIRING
        # SIGKILL comes from another process and has nothing to do with the start.
        forced = self.was_ready and status == -signal.SIGKILL
        return self.persistent and not asked and not forced and self.is_unproven(reading, now)

    def note(self, event: WorkerEvent) -> None:
        """Note an event. Errors: `LifecycleError` if its state does not allow the event."""
        self.state = advance(WORKER_TRANSITIONS, self.state, event)
        self.was_ready |= event is WorkerEvent.READY


class WorkerTable:
    """At most one worker in each slot. Slots are numbered from 0; the lowest free one is next."""

    def __init__(self) -> None:
        self._by_slot: dict[int, WorkerRecord] = {}
        self._by_pid: dict[int, WorkerRecord] = {}
        self.changes = 0
        """The number of changes so far that may affect the size of the pool."""

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
        """Note that a worker has taken its one request: it is no longer persistent, and exits."""
        self.changes += 1
        record.persistent = False

    def prove(self, reading_of: Callable[[WorkerRecord], Reading], now: float) -> bool:
        """Note which workers have become proved; return whether any has."""
        proved = [r for r in self if not (r.proved or r.is_unproven(reading_of(r), now))]
        for record in proved:
            record.proved = True
        return bool(proved)

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

    def is_complete(self, wanted: int, most: int) -> bool:
        """Whether `wanted` persistent workers are ready, and at most `most` workers exist."""
        ready = [r for r in self.persistent() if r.state is WorkerState.SERVING]
        return len(ready) == wanted and len(self) <= most

    def missing(self, wanted: int, most: int) -> int:
        """Return how many persistent workers to start for `wanted` ones, with `most` in all."""
        return max(0, min(wanted - len(self.persistent()), most - len(self)))

    def surplus(self, wanted: int) -> int:
        """Return the number of persistent workers above `wanted`."""
        return max(0, len(self.persistent()) - wanted)

    def serving(self) -> list[WorkerRecord]:
        """Return the persistent workers that take requests."""
        serving = WorkerState.SERVING
        return [r for r in self._by_slot.values() if r.persistent and r.state is serving]

    def persistent(self) -> list[WorkerRecord]:
        """Return the persistent workers that are serving or starting."""
        states = (WorkerState.STARTING, WorkerState.SERVING)
        return [r for r in self._by_slot.values() if r.persistent and r.state in states]
