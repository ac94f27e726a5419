"""The status of one worker, as `prefork_status()` returns it."""

from __future__ import annotations

from dataclasses import dataclass

from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.scoreboard import Reading


@dataclass(frozen=True)
class WorkerStatus:
    """What one worker is doing.

    `since` is the seconds in the present state, `age` the seconds since the fork, and `busy` the
    total seconds with a request in flight up to the present state.
    """

    slot: int
    pid: int
    state: str
    """`starting`, `idle`, `busy`, `leaving`, `retiring` or `killed`."""
    since: float
    age: float
    peer: str
    label: str
    served: int
    busy: float
    in_flight: int
    generation: int
    """The number of times that the pool had been renewed when this worker was forked."""


def status_of(record: WorkerRecord, reading: Reading, now: float) -> WorkerStatus:
    """Return the status of a worker from the master's record and the scoreboard."""
    if record.state in (WorkerState.RETIRING, WorkerState.KILLED):
        state = record.state.name.lower()
    else:
        state = reading.state.name.lower()
    return WorkerStatus(
        slot=record.slot,
        pid=record.pid,
        state=state,
        since=now - reading.since,
        age=now - record.started,
        peer=reading.peer,
        label=reading.label,
        served=reading.served,
        busy=reading.busy,
        in_flight=reading.in_flight,
        generation=record.generation,
    )
