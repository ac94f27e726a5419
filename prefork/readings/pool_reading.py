"""Reads everything about a running pool and its machine at one moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from prefork.readings.backlog import longest_backlog
from prefork.readings.cores import usable_cores
from prefork.readings.cpu import cpu_times, delay_of_process, used_by_process
from prefork.readings.memory import memory_left, pss
from prefork.state.snapshot import Depth, PoolReading, WorkerReading
from prefork.state.worker_status import WorkerStatus


def read_pool(
    workers: Sequence[WorkerStatus], depth: Depth, max_children: int, threads: int | None
) -> PoolReading:
    """Read the present state of the pool; `workers` is its present status.

    This takes about 0.3 ms, plus 0.1 ms and the time of `pss()` for each worker.
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
    """Yield the readings of the workers that are ready and still exist."""
    for worker in workers:
        if worker.state == "starting":
            continue
        try:
            cpu, delayed = used_by_process(worker.pid), delay_of_process(worker.pid)
        except OSError:  # it has exited in the meantime
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
    except OSError:  # it runs as another user, or has exited in the meantime
        return None
