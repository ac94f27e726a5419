"""Advice from two readings of a server, as tables."""

from collections.abc import Sequence
from typing import Any

import pytest

from prefork.advice.live import advise, needed, observe
from prefork.state.snapshot import CoreTimes, CpuTimes, Depth, PoolReading, WorkerReading

MB = 1 << 20
SECONDS = 10.0
IDLE, SATURATED = 0.6, 0.02


def worker(pid: int, **figures: Any) -> WorkerReading:
    """A worker that was forked long ago, with these figures."""
    nothing = WorkerReading(pid, 100.0, 0, 0.0, 0, 0.0, 0.0, 20 * MB)
    return nothing._replace(**figures)


def pool(
    now: float, workers: Sequence[WorkerReading], idle: float = 0.0, **figures: Any
) -> PoolReading:
    """A pool on two cores that were idle for a given share of the time before `now`."""
    core = CoreTimes(int(100 * now * idle), int(100 * now))
    rest = {
        "depth": Depth(0, 1024, 0),
        "max_children": len(workers),
        "threads": None,
        "cores": 2,
        "cpu": CpuTimes(now, {0: core, 1: core}, {}),
        "memory_left": 10_000 * MB,
        "longest_backlog": 4096,
    }
    return PoolReading(now, tuple(workers), **{**rest, **figures})


def readings(
    count: int,
    served: int,
    busy: float,
    cpu: float,
    delayed: float = 0.0,
    in_flight: int = 0,
    idle: float = IDLE,
    first: dict[str, Any] | None = None,
    **figures: Any,
) -> tuple[PoolReading, PoolReading]:
    """Two readings of `count` equal workers, ten seconds apart.

    `first` has the figures of the pool that differ in the first reading.
    """
    done = {"served": served, "busy": busy, "cpu": cpu, "delayed": delayed, "in_flight": in_flight}
    before = pool(0.0, [worker(pid) for pid in range(count)], **{**figures, **(first or {})})
    after = pool(SECONDS, [worker(pid, **done) for pid in range(count)], idle, **figures)
    return before, after


COMPUTING: dict[str, Any] = {"count": 8, "served": 250, "busy": 10.0, "cpu": 2.5, "delayed": 7.4}
"""The figures of 8 workers on 2 cores, a quarter of a core each: a request takes 10 ms of CPU."""


def test_what_happened_between_two_readings_follows_from_the_counters() -> None:
    before, after = readings(
        4,
        served=100,
        busy=5.0,
        cpu=1.0,
        delayed=1.0,
        idle=0.5,
        first={"depth": Depth(2, 9, 1)},
        depth=Depth(6, 9, 4),
    )
    seen = observe(before, after)
    assert seen is not None
    assert (seen.workers, seen.busy, seen.busy_share) == (4, 2.0, 0.5)
    assert (seen.served, seen.arrived, seen.rejected) == (40.0, 40.4, 3)
    assert (seen.service, seen.cpu) == pytest.approx((0.040, 0.010))
    assert (seen.waiting, seen.cpu_left, seen.cpu_own) == pytest.approx((4.0, 0.5, 0.2))
    assert seen.memory == 20 * MB


def test_a_new_worker_is_included_from_its_fork_on_and_one_that_exited_is_not_included() -> None:
    before = pool(0.0, [worker(1, served=50, busy=2.0, cpu=1.0), worker(2, served=500)])
    new = worker(3, age=5.0, served=50, busy=2.5, cpu=0.5)
    after = pool(SECONDS, [worker(1, served=150, busy=7.0, cpu=2.0), new], IDLE)
    seen = observe(before, after)
    assert seen is not None
    assert (seen.workers, seen.busy, seen.served) == pytest.approx((2, 1.0, 20.0))
    assert (seen.service, seen.cpu) == pytest.approx((0.050, 0.010))


def test_when_all_workers_are_new_each_is_included_from_its_fork_on() -> None:
    new = [worker(pid, age=9.0, served=90, busy=1.8, cpu=0.9) for pid in range(4)]
    seen = observe(pool(0.0, []), pool(SECONDS, new, IDLE))
    assert seen is not None
    assert (seen.workers, seen.busy, seen.served) == pytest.approx((3.6, 0.72, 36.0))


def test_without_a_completed_request_those_in_flight_are_used() -> None:
    before, after = readings(2, served=0, busy=10.0, cpu=0.001, in_flight=1)
    seen = observe(before, after)
    assert seen is not None
    assert (seen.busy_share, seen.service, seen.in_flight) == pytest.approx((1.0, 10.0, 2.0))


def test_with_threads_a_busy_second_counts_for_each_request_in_flight() -> None:
    before, after = readings(
        1, served=100, busy=10.0, cpu=1.0, in_flight=4, threads=8, first={"threads": 8}
    )
    seen = observe(before, after)
    assert seen is not None
    assert (seen.service, seen.in_flight) == pytest.approx((0.4, 4.0))


def test_time_in_which_threads_wait_for_the_interpreter_is_not_waiting() -> None:
    before, after = readings(1, served=100, busy=10.0, cpu=9.9, in_flight=8, threads=8)
    seen = observe(before, after)
    assert seen is not None
    assert seen.service == seen.cpu


@pytest.mark.parametrize(
    ("requests", "workers"), [(0.0, 1), (0.01, 1), (0.1, 2), (1.0, 5), (8.0, 16), (300.0, 343)]
)
def test_that_many_workers_almost_always_include_an_idle_one(requests: float, workers: int) -> None:
    assert needed(requests) == workers


@pytest.mark.parametrize(
    ("before_and_after", "workers", "reason"),
    [
        pytest.param(
            readings(**COMPUTING, idle=SATURATED),
            2,
            "The CPU is saturated: 2 % of 2 cores was idle, and these workers used 100 %",
            id="computing on all cores: no more workers than these",
        ),
        pytest.param(
            readings(**COMPUTING, idle=SATURATED, depth=Depth(500, 1024, 0)),
            2,
            "The CPU is saturated",
            id="the same with a queue",
        ),
        pytest.param(
            readings(1, served=900, busy=9.1, cpu=9.0, depth=Depth(9, 1024, 0)),
            2,
            "2 workers keep 2 cores busy",
            id="computing on one core: use the other one as well",
        ),
        pytest.param(
            readings(1, served=10, busy=0.1, cpu=0.1),
            2,
            "no client waited",
            id="computing a little: never fewer workers than cores",
        ),
        pytest.param(
            readings(4, served=50, busy=10.0, cpu=0.05, depth=Depth(40, 1024, 0)),
            61,
            "With 61 workers, 99 of 100 requests find an idle one.",
            id="handlers wait, and so do clients: as many workers as the load needs",
        ),
        pytest.param(
            readings(100, served=5, busy=0.5, cpu=0.005),
            12,
            "With 12 workers, 99 of 100 requests find an idle one.",
            id="handlers wait: fewer workers are enough",
        ),
        pytest.param(
            readings(4, served=50, busy=10.0, cpu=0.05, depth=Depth(40, 1024, 0), idle=SATURATED),
            4,
            "these workers used 1 %; other programs used the rest",
            id="handlers wait, and other programs use the CPU: no more workers",
        ),
        pytest.param(
            readings(4, served=50, busy=10.0, cpu=0.05, depth=Depth(40, 1024, 0), memory_left=0),
            4,
            "Memory limits the pool to 4 workers (20.0 MB each, 80.0 MB available)",
            id="handlers wait: memory is the limit",
        ),
        pytest.param(
            readings(2, served=0, busy=10.0, cpu=0.0001, in_flight=1, depth=Depth(10, 1024, 0)),
            22,
            "were busy 100 % of the time; 10 clients waited",
            id="workers are busy, and no request has ended",
        ),
    ],
)
def test_the_advice_follows_the_load(
    before_and_after: tuple[PoolReading, PoolReading], workers: int, reason: str
) -> None:
    found = advise(*before_and_after)
    assert reason in " ".join(found.reasons)
    assert found.max_children == workers


def test_a_given_memory_limit_replaces_that_of_the_machine() -> None:
    before, after = readings(4, served=50, busy=10.0, cpu=0.05, depth=Depth(40, 1024, 0))
    found = advise(before, after, memory=60 * MB)
    assert found.max_children == 3
    assert "Memory limits the pool to 3 workers" in " ".join(found.reasons)
    assert "If the handler is thread-safe, --threads" in " ".join(found.reasons)
    unknown = after._replace(workers=tuple(w._replace(memory=None) for w in after.workers))
    assert advise(before, unknown, memory=60 * MB).max_children == 61


def test_with_threads_the_advice_changes_the_threads_and_not_the_workers() -> None:
    before, after = readings(
        4, served=400, busy=10.0, cpu=0.1, in_flight=8, threads=8, depth=Depth(40, 1024, 0)
    )
    found = advise(before, after)
    assert (found.max_children, found.threads) == (4, 24)
    assert "24 threads in each worker" in " ".join(found.reasons)


def test_a_backlog_that_was_full_is_doubled_and_its_rejections_are_reported() -> None:
    before, after = readings(
        2,
        served=50,
        busy=10.0,
        cpu=0.05,
        depth=Depth(129, 128, 70),
        first={"depth": Depth(0, 128, 20)},
    )
    found = advise(before, after)
    assert found.backlog == 256
    assert "a full backlog of 128 rejected 50" in found.reasons[0]
    assert found.reasons[-1] == "Backlog 256 instead: 128 was too small for a burst."


def test_a_client_that_waited_at_one_of_the_readings_is_included() -> None:
    before, after = readings(1, served=900, busy=9.1, cpu=9.0, depth=Depth(1, 1024, 0))
    before = before._replace(depth=Depth(0, 1024, 0))
    assert "; 1 client waited." in advise(before, after).reasons[0]


def test_readings_in_the_wrong_order_are_refused() -> None:
    before, after = readings(1, served=900, busy=9.1, cpu=9.0)
    with pytest.raises(ValueError, match="must be the first argument"):
        advise(after, before)


def test_an_idle_server_gets_no_advice() -> None:
    found = advise(*readings(3, served=0, busy=0.0, cpu=0.01))
    assert (found.max_children, found.backlog, found.threads) == (3, 1024, 1)
    assert found.reasons == (
        "No advice: no worker that is still running had a request within 10.0 s.",
    )
    assert advise(pool(0, []), pool(1, [])).max_children == 0
