"""The worker table, the settings and the reports of a pool: plain objects, no processes."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterator

import pytest

from prefork.settings import Settings, SettingsError
from prefork.state.exit_reports import report_death
from prefork.state.lifecycle import WorkerEvent, WorkerState
from prefork.state.worker_status import status_of
from prefork.state.worker_table import WorkerRecord, WorkerTable
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.exit_codes import Death, ExitCode
from prefork.workers.protocol.scoreboard import Reading, State


@pytest.fixture
def channel() -> Iterator[Channel]:
    masters_end, workers_end = Channel.pair()
    yield masters_end
    masters_end.close()
    workers_end.close()


def record_of(channel: Channel, slot: int, persistent: bool = True) -> WorkerRecord:
    return WorkerRecord(slot, 1000 + slot, channel, started=10.0, persistent=persistent)


def test_the_lowest_free_slot_is_next(channel: Channel) -> None:
    pool = WorkerTable()
    for slot in range(3):
        assert pool.free_slot() == slot
        pool.add(record_of(channel, slot))
    pool.remove(pool.by_slot(1))
    assert pool.free_slot() == 1


def test_a_removed_worker_is_gone_by_slot_and_by_pid(channel: Channel) -> None:
    pool = WorkerTable()
    record = record_of(channel, 0)
    pool.add(record)
    pool.remove(record)
    assert record.state is WorkerState.GONE
    assert pool.by_pid(record.pid) is None
    assert pool.pids() == set()


def test_a_retiring_worker_takes_a_slot_and_is_already_considered_missing(channel: Channel) -> None:
    pool = WorkerTable()
    for slot in range(4):
        pool.add(record_of(channel, slot))
    pool.by_slot(0).note(WorkerEvent.RETIRED)
    assert pool.missing(wanted=4, most=4) == 0
    assert pool.missing(wanted=4, most=8) == 1
    assert pool.surplus(wanted=2) == 1


def test_a_worker_for_one_request_takes_a_slot_and_is_never_surplus(channel: Channel) -> None:
    pool = WorkerTable()
    pool.add(record_of(channel, 0, persistent=False))
    assert pool.missing(wanted=4, most=4) == 3
    assert pool.surplus(wanted=0) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strategy", "accpt"),
        ("max_requests", -1),
        ("max_requests", 1.5),
        ("max_requests_jitter", -1),
        ("threads", True),
        ("graceful_timeout", -0.1),
        ("start_timeout", 0),
        ("start_timeout", math.inf),
    ],
)
def test_the_error_for_an_invalid_value_names_the_setting(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=field):
        dataclasses.replace(Settings(), **{field: value})  # type: ignore[arg-type]


def test_jitter_stays_within_its_bounds_and_needs_a_limit() -> None:
    drawn = {
        Settings(max_requests=100, max_requests_jitter=5).drawn_max_requests() for _ in range(500)
    }
    assert drawn == set(range(100, 106))
    assert Settings(max_requests_jitter=5).drawn_max_requests() == 0


BUSY = Reading(State.BUSY, 11.5, "127.0.0.1:40312", "render page 7", 41, 2.0, 1)
IDLE = Reading(State.IDLE, 11.5, "", "", 41, 2.0, 0)


@pytest.mark.parametrize(
    ("status", "reading", "level", "words"),
    [
        (-9, BUSY, logging.ERROR, ["was killed by SIGKILL", "127.0.0.1:40312", "render page 7"]),
        (-11, IDLE, logging.ERROR, ["was killed by SIGSEGV", "after 41 requests"]),
        (7, BUSY, logging.ERROR, ["exited with code 7", "for 0.500 s"]),
        (None, IDLE, logging.ERROR, ["its status was reaped elsewhere"]),
        (ExitCode.RECYCLED, IDLE, logging.INFO, ["limit of requests"]),
        (ExitCode.DONE, IDLE, logging.DEBUG, ["exited with code 0"]),
    ],
)
def test_a_death_is_reported_in_one_sentence(
    channel: Channel,
    caplog: pytest.LogCaptureFixture,
    status: int | None,
    reading: Reading,
    level: int,
    words: list[str],
) -> None:
    record = record_of(channel, 3)
    record.note(WorkerEvent.READY)
    with caplog.at_level(logging.DEBUG, "prefork"):
        report_death(record, Death(1003, status), reading, 12.0, "it is replaced now", "")
    (logged,) = caplog.records
    assert logged.levelno == level
    for word in ["Worker 3 (pid 1003)", "it is replaced now", *words]:
        assert word in logged.getMessage()


def test_status_has_the_state_of_a_worker_and_its_duration(channel: Channel) -> None:
    record = record_of(channel, 2)
    record.note(WorkerEvent.READY)
    busy = status_of(record, BUSY, now=12.0)
    assert (busy.state, busy.peer, busy.since, busy.age) == ("busy", "127.0.0.1:40312", 0.5, 2.0)
    record.note(WorkerEvent.RETIRED)
    assert status_of(record, BUSY, now=12.0).state == "retiring"
