"""All that is known of a pool that runs, and of its machine, at one moment: what advice is made of.

Counters, so that two of these say what happened in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prefork.readings.backlog import Depth, longest_backlog
from prefork.readings.cores import usable_cores
from prefork.readings.cpu import CpuTimes, cpu_times, delay_of_process, used_by_process
from prefork.readings.memory import memory_left, pss
from prefork.state.reports import WorkerStatus


class WorkerReading(NamedTuple):
    """One worker since it was forked; all times are in seconds."""

    pid: int
    age: float
    served: int
    busy: float
    """Time with a request in hand, with the present one's until now."""
    in_flight: int
    """Requests in hand now."""
    cpu: float
    delayed: float
    """Time for which it was ready to run, and all cores were taken."""
    memory: int | None
    """Bytes (PSS); `None` where they are not to be had."""


class PoolReading(NamedTuple):
    """A pool and its machine. `now` is in seconds of the monotonic clock."""

    now: float
    workers: tuple[WorkerReading, ...]
    depth: Depth
    max_children: int
    threads: int | None
    """Requests that a worker may have in hand at a time, 0: any number; `None` without threads."""
    cores: int
    cpu: CpuTimes
    memory_left: int | None
    """Bytes for more workers than these; `None`: unknown."""
    longest_backlog: int | None
    """What the kernel cuts every backlog to."""


def read_pool(
    workers: Sequence[WorkerStatus], depth: Depth, max_children: int, threads: int | None
) -> PoolReading:
    """The pool as it is now, where `workers` are those of this moment.

    It costs some 0.3 ms, and for each worker 0.1 ms and the time of `pss()`.
    """
    now = time.monotonic()
    cpu = cpu_times()
    return PoolReading(
        now,
        tuple(_read(workers)),
        depth,
        max_children,
        threads,
        usable_cores(),
        cpu,
        memory_left(),
        longest_backlog(),
    )


def _read(workers: Sequence[WorkerStatus]) -> Iterator[WorkerReading]:
    """Those that are still there, and ready."""
    for worker in workers:
        if worker.state == "starting":
            continue
        try:
            cpu, delayed = used_by_process(worker.pid), delay_of_process(worker.pid)
        except OSError:  # it has ended meanwhile
            continue
        present = worker.since if worker.in_flight else 0.0
        yield WorkerReading(
            worker.pid,
            worker.age,
            worker.served,
            worker.busy + present,
            worker.in_flight,
            cpu,
            delayed,
            _memory(worker.pid),
        )


def _memory(pid: int) -> int | None:
    try:
        return pss(pid)
    except OSError:  # it runs as another user, or has ended meanwhile
        return None
