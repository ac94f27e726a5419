"""What one worker is doing: the record that `prefork_status()` returns."""

from __future__ import annotations

from dataclasses import dataclass

from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.scoreboard import Reading


@dataclass(frozen=True)
class WorkerStatus:
    """What one worker is doing. `since` and `age` are seconds so far, `busy` is their total."""

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
    """How often the pool had been renewed when this worker was forked (`fork_from = "mold"`)."""


def status_of(record: WorkerRecord, reading: Reading, now: float) -> WorkerStatus:
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
