"""Log records of exits: which worker, how it exited, what it was serving, and what happens next."""

from __future__ import annotations

import logging

from prefork.state.lifecycle import WorkerState
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.exit_codes import Death, ExitCode
from prefork.workers.protocol.scoreboard import Reading, State

logger = logging.getLogger("prefork")


class StartError(RuntimeError):
    """None of the first workers could start; the message has the traceback of the last one."""

    @classmethod
    def of(cls, record: WorkerRecord) -> StartError:
        if not record.failure:
            return cls("No worker could start, so nothing is served. The log says how each exited.")
        return cls(f"No worker could start, so nothing is served. The last one:\n{record.failure}")

    @classmethod
    def of_fork(cls, error: OSError) -> StartError:
        return cls(f"No worker could be started, so nothing is served: {error}.")


def report_death(
    record: WorkerRecord,
    death: Death,
    reading: Reading,
    now: float,
    next_step: str,
    traceback: str,
) -> None:
    """Log which worker exited and how, what it was serving, for how long, and what happens next.

    The `traceback` is appended if it is not empty.
    """
    level = _severity(record, death, reading)
    if not logger.isEnabledFor(level):
        return
    is_busy = reading.state is State.BUSY
    logger.log(
        level,
        "Worker %d (pid %d) %s%s; %s.%s",
        record.slot,
        death.pid,
        _meaning(record, death),
        _doing(record, reading, now),
        next_step,
        f"\n{traceback}" if traceback else "",
        extra={
            "event": "worker_exit",
            "slot": record.slot,
            "pid": death.pid,
            "status": death.status,
            "served": reading.served,
            "peer": reading.peer if is_busy else "",
            "label": reading.label if is_busy else "",
            "in_flight": reading.in_flight if is_busy else 0,
            "generation": record.generation,
            "next_step": next_step,
        },
    )


def report_failed_start(error: OSError, wait: float) -> None:
    """Log that no worker could be forked, and that it is tried again in `wait` seconds."""
    logger.error(
        "No worker could be started: %s; trying again in %.1f s.",
        error,
        wait,
        extra={"event": "fork_failed", "error": str(error), "retry_in": wait},
    )


def next_step(
    record: WorkerRecord, *, is_replaced: bool, is_last: bool, is_outdated: bool, wait: float
) -> str:
    """Return what happens after a death, as a clause for the report.

    `is_last` means that no other worker is starting, so the start of the server has failed. `wait`
    is the seconds until another worker may start.
    """
    if not is_replaced:
        return "it is not replaced"
    if is_last:
        return "no other worker is starting"
    if record.state is WorkerState.RETIRING and is_outdated:
        return "a worker of the next generation takes its place"
    if record.state is WorkerState.RETIRING:
        return "the pool has its wanted size"
    return f"it is replaced in {wait:.1f} s" if wait else "it is replaced now"


def _severity(record: WorkerRecord, death: Death, reading: Reading) -> int:
    if record.state is WorkerState.KILLED:
        return logging.WARNING
    if reading.state is State.BUSY:
        return logging.ERROR  # a request is lost, with any status
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
        return "left on SIGTERM"
    if death.status == ExitCode.RECYCLED:
        return "reached its limit of requests" if record.persistent else "served its request"
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
