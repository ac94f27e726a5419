"""What a sizing policy is given about the workers: the work they have done, and their memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prefork.master import sizer as sizing
from prefork.master.sizer import Work
from prefork.state.worker_table import WorkerRecord
from prefork.workers.protocol.scoreboard import Reading, State

Weigh = Callable[[dict[int, int], int], None]


@pytest.fixture
def weigh(monkeypatch: pytest.MonkeyPatch) -> Weigh:
    """Set the memory of each worker, by pid, and what is free; other processes have ended."""

    def weigh(sizes: dict[int, int], left: int) -> None:
        def pss(pid: int) -> int:
            if pid not in sizes:
                raise ProcessLookupError(pid)
            return sizes[pid]

        monkeypatch.setattr(sizing, "pss", pss)
        monkeypatch.setattr(sizing, "memory_left", lambda: left)

    return weigh


def seen(pid: int, served: int, started: float = 0.0) -> sizing.Seen:
    return (
        WorkerRecord(pid, pid, None, started),  # type: ignore[arg-type]
        Reading(State.IDLE, 0.0, "", "", served, 0.0, 0),
    )


def test_memory_room_is_counted_in_workers_as_large_as_the_one_that_has_served_most(
    weigh: Weigh,
) -> None:
    machine = sizing.MachineCapacity()
    assert machine.memory_room(100.0, 0, []) is None
    weigh({1: 100, 2: 300}, 1_000)
    assert machine.memory_room(101.0, 2, [seen(1, 1), seen(2, 2)]) == 3
    weigh({}, 1_000)
    what = "the last figure is used for a worker whose memory cannot be read"
    assert machine.memory_room(102.0, 4, [seen(2, 2)]) == 1, what
    assert machine.memory_room(103.0, 8, [seen(2, 2)]) == 0


def test_memory_that_new_workers_have_not_taken_yet_is_reserved_for_them(weigh: Weigh) -> None:
    """Workers that had served nothing used to be considered small; the kernel killed some later."""
    machine = sizing.MachineCapacity()
    weigh({1: 100}, 350)
    assert machine.memory_room(101.0, 1, [seen(1, 1)]) == 3
    now = 101.25
    young = [seen(pid, 0, started=now) for pid in (2, 3)]
    assert machine.memory_room(now, 3, [seen(1, 1), *young]) == 1
    now += sizing.GROWN_AFTER
    assert machine.memory_room(now, 3, [seen(1, 1), *young]) == 3


def test_the_memory_of_large_workers_is_read_less_often(
    weigh: Weigh, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = sizing.MachineCapacity()
    clock = iter([0.0, 0.01, 7.0, 7.0])  # before and after each measurement
    monkeypatch.setattr("prefork.master.sizer.time.monotonic", lambda: next(clock))
    weigh({1: 100}, 100)
    assert machine.memory_room(100.0, 1, [seen(1, 1)]) == 1
    weigh({1: 100}, 900)
    assert machine.memory_room(101.9, 1, [seen(1, 1)]) == 1
    assert machine.memory_room(102.1, 1, [seen(1, 1)]) == 9


def test_the_busy_share_is_exact_whatever_workers_do_at_the_moment_of_a_look() -> None:
    """Many short requests that no look finds, and one that lasts over several looks."""
    short, long = (WorkerRecord(slot, slot, None, 90.0) for slot in (1, 2))  # type: ignore[arg-type]
    work = Work(100.0)

    def share(now: float, of_short: float, long_since: float | None) -> float:
        state = State.IDLE if long_since is None else State.BUSY
        return work.share(
            now,
            [
                (short, Reading(State.IDLE, now, "", "", 0, of_short, 0)),
                (long, Reading(state, long_since or now, "", "", 0, 0.0, 0)),
            ],
        )

    assert share(101.0, 0.0, None) == 0.0
    assert share(102.0, 0.5, 101.5) == pytest.approx((0.5 + 0.5) / 2)
    assert share(104.0, 0.5, 101.5) == pytest.approx((0.0 + 2.0) / 4)


def test_the_busy_share_of_a_new_worker_begins_with_its_start() -> None:
    new = WorkerRecord(0, 1, None, 103.0)  # type: ignore[arg-type]
    work = Work(100.0)
    reading = Reading(State.BUSY, 103.5, "", "", 0, 0.0, 1)
    assert work.share(104.0, [(new, reading)]) == pytest.approx(0.5)
