"""What the master says of its workers: a sentence for each death, a record for each that lives."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.exit_codes import Death, ExitCode
from prefork.workers.protocol.scoreboard import Reading, State

logger = logging.getLogger("prefork")


class StartError(RuntimeError):
    """No worker of the first generation could start; the message has a worker's traceback."""

    @classmethod
    def of(cls, record: WorkerRecord) -> StartError:
        said = record.failure or "nothing; how it ended is in the log."
        return cls(f"No worker could start, so nothing is served. The last one said:\n{said}")

    @classmethod
    def of_fork(cls, error: OSError) -> StartError:
        return cls(f"No worker could be started, so nothing is served: {error}.")


@dataclass(frozen=True)
class WorkerStatus:
    """What one worker is doing. `since` and `age` are seconds until now, `busy` in all."""

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


def report_death(
    record: WorkerRecord,
    death: Death,
    reading: Reading,
    now: float,
    next_step: str,
    traceback: str,
) -> None:
    """Log one sentence: who, how, what it was serving and for how long, and what happens next.

    Then the traceback, if there is one that has to be shown.
    """
    level = _severity(record, death, reading)
    if not logger.isEnabledFor(level):
        return
    who = f"Worker {record.slot} (pid {death.pid})"
    how = _meaning(record, death)
    rest = f"\n{traceback}" if traceback else ""
    logger.log(level, "%s %s%s; %s.%s", who, how, _doing(record, reading, now), next_step, rest)


def next_step(record: WorkerRecord, alone: bool, wait: float, generation: int) -> str:
    """What happens after a death in a pool that is kept, and is at a generation.

    `wait` is in seconds.
    """
    if not record.persistent:
        return "it is not replaced"
    if alone:
        return "it was the last one"
    if record.state is WorkerState.RETIRING and record.generation < generation:
        return "one of the next generation takes its place"
    if record.state is WorkerState.RETIRING:
        return "the pool is as large as it should be"
    return f"it is replaced in {wait:.1f} s" if wait else "it is replaced now"


def _severity(record: WorkerRecord, death: Death, reading: Reading) -> int:
    if record.state is WorkerState.KILLED:
        return logging.WARNING
    if reading.state is State.BUSY:
        return logging.ERROR  # whatever it exited with: a request is lost
    if record.persistent and death.status in (ExitCode.RECYCLED, ExitCode.TERMINATED):
        return logging.INFO
    if death.status in (ExitCode.DONE, ExitCode.RECYCLED) or reading.state is State.LEAVING:
        return logging.DEBUG
    return logging.ERROR


def _meaning(record: WorkerRecord, death: Death) -> str:
    if death.status == ExitCode.BOOT_FAILED and record.failure:
        error = record.failure.rstrip().rpartition("\n")[2]
        return f"could not start ({error})"
    if death.status == ExitCode.TERMINATED:
        return "has left on SIGTERM"
    if death.status == ExitCode.RECYCLED:
        return (
            "has reached its limit of requests" if record.persistent else "has served its request"
        )
    if record.state is WorkerState.KILLED:
        return "was killed by the master, as announced,"
    return death.sentence


def _doing(record: WorkerRecord, reading: Reading, now: float) -> str:
    if reading.state is State.BUSY:
        what = " and ".join(text for text in (reading.peer or "a request", reading.label) if text)
        more = f" and {reading.in_flight - 1} more" if reading.in_flight > 1 else ""
        return f" while serving {what}{more} for {now - reading.since:.3f} s"
    if not record.was_ready:
        return f" before it was ready, {now - record.started:.3f} s after its start"
    return f" after {reading.served} requests"


def warn_of_threads() -> None:
    """Name every thread that is alive when workers are about to be forked.

    A lock that it holds at that moment stays locked in the worker for ever (fork(2)).
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            logger.warning(
                "Thread %r is alive while workers are forked: a lock that it holds at that moment "
                "stays locked in them.",
                thread.name,
            )
