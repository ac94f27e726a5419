"""The master's log records have an event and its fields: programs need not parse sentences."""

from __future__ import annotations

import ast
import contextlib
import errno
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefork.master.origins.from_master import warn_of_threads
from prefork.settings import Settings
from prefork.workers.protocol.exit_codes import ExitCode
from prefork.workers.protocol.scoreboard import State
from tests.fakes.test_sizing import FakeMachine, clients_connect, look
from tests.support.checkout import ROOT
from tests.support.fake_handoff import HandoffPool
from tests.support.fake_system import FakePool, MakePool
from tests.support.pools import events


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "prefork")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    machine = FakeMachine()
    monkeypatch.setattr("prefork.master.sizer.MachineCapacity", lambda: machine)
    return machine


def the_event(caplog: pytest.LogCaptureFixture, name: str) -> Any:
    (record,) = events(caplog.records, name)
    return record


def test_an_exit_says_which_worker_and_what_it_was_serving(
    pool: FakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.start()
    pool.tick(seconds=5)
    pid = min(pool.server.workers)
    pool.shows(pid, State.BUSY, served=7)
    pool.dies(pid, -signal.SIGSEGV)
    exited = the_event(caplog, "worker_exit")
    assert (exited.slot, exited.pid, exited.status, exited.served) == (0, pid, -signal.SIGSEGV, 7)
    assert (exited.in_flight, exited.generation) == (1, 0)
    assert exited.next_step == "it is replaced now"
    assert exited.levelno == logging.ERROR


def test_a_kill_says_why(pool: FakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool.server.most = 1
    pool.server.set = Settings(start_timeout=2.0)
    pool.start(ready=False)
    (pid,) = pool.server.workers
    pool.tick(seconds=2.0)
    killed = the_event(caplog, "worker_killed")
    assert (killed.slot, killed.pid) == (0, pid)
    assert killed.reason == "it was not ready within the start_timeout"


def test_a_fork_that_fails_says_when_the_next_try_is(
    pool: FakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.server.most = 1
    pool.start()
    pool.tick(seconds=5)
    pool.system.fork_error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    pool.dies(min(pool.server.workers), ExitCode.CRASHED)
    failed = the_event(caplog, "fork_failed")
    assert os.strerror(errno.EAGAIN) in failed.error
    assert failed.retry_in == pytest.approx(1.5)


def test_scaling_and_saturation_records_have_the_number_of_workers(
    pool_of: MakePool, machine: FakeMachine, caplog: pytest.LogCaptureFixture
) -> None:
    pool = pool_of(cores=8)
    pool.server.most = 2
    pool.server.set = Settings(sizing="load")
    pool.start()
    with contextlib.ExitStack() as clients:
        clients_connect(pool, clients, 4)
        for _ in range(20):
            pool.all_show(State.BUSY)
            look(pool)
    scaled = the_event(caplog, "scaled")
    assert (scaled.before, scaled.workers) == (1, 2)
    assert scaled.reason.startswith("all are busy")
    saturated = the_event(caplog, "saturated")
    assert (saturated.workers, saturated.levelno) == (2, logging.WARNING)
    assert saturated.reason == "max_children is reached, 4 clients wait"


def test_a_request_that_cannot_be_passed_on_is_an_event(caplog: pytest.LogCaptureFixture) -> None:
    pool = HandoffPool()
    try:
        pool.add_worker()
        assert not pool.handoff.place(None, None)
    finally:
        pool.close()
    assert the_event(caplog, "requests_not_passable").levelno == logging.WARNING


@contextlib.contextmanager
def a_thread(name: str) -> Iterator[None]:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name=name)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_a_thread_that_is_alive_at_a_fork_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with a_thread("poller"):
        warn_of_threads()
    names = {record.thread_name for record in events(caplog.records, "threads_at_fork")}
    assert "poller" in names


def test_the_requests_that_a_forced_stop_has_aborted_are_counted(pool: FakePool) -> None:
    pool.server.most = 3
    pool.start()
    for pid in sorted(pool.server.workers)[:2]:
        pool.shows(pid, State.BUSY)
    pool.master.kill("the stop was forced")
    assert pool.master.aborted == 2
    for pid in list(pool.server.workers):
        pool.dies(pid, -signal.SIGKILL)
    assert pool.master.aborted == 2
    pool.start()
    assert pool.master.aborted == 0


def test_a_kill_by_a_signal_handler_counts_them_too(pool: FakePool) -> None:
    pool.start()
    pool.shows(min(pool.server.workers), State.BUSY)
    pool.master.begin_drain()
    pool.master.force_stop()
    assert pool.master.aborted == 1
    assert pool.master.is_forced


def test_a_forced_stop_counts_each_request_once_and_reports_each_kill(
    pool: FakePool, caplog: Any
) -> None:
    """A second call, and the master's own kill after the first one, used to count again."""
    pool.start()
    pids = sorted(pool.server.workers)
    for pid in pids:
        pool.shows(pid, State.BUSY)
    pool.master.force_stop()
    pool.master.force_stop()
    pool.dies(pids[0], -signal.SIGKILL)
    pool.master.begin_drain()
    for pid in pids[1:]:
        pool.dies(pid, -signal.SIGKILL)
    assert pool.master.aborted == len(pids)
    killed = [r.pid for r in caplog.records if getattr(r, "event", "") == "worker_killed"]
    assert sorted(killed) == pids
    exits = [r.levelname for r in caplog.records if getattr(r, "event", "") == "worker_exit"]
    assert exits == ["WARNING"] * len(pids)


def calls_of_loggers(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"), attr=method)):
                if method != "isEnabledFor":
                    yield node


RESERVED = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def test_every_record_of_the_master_has_an_event_and_no_field_that_logging_refuses() -> None:
    """`logging` raises KeyError for a field with the name of a record's own attribute."""
    package = ROOT / "prefork"
    paths = [*(package / "master").rglob("*.py"), package / "state" / "exit_reports.py"]
    calls = [call for path in paths for call in calls_of_loggers(path)]
    assert len(calls) >= 11
    for call in calls:
        (extra,) = (keyword.value for keyword in call.keywords if keyword.arg == "extra")
        assert isinstance(extra, ast.Dict)
        keys = [key.value for key in extra.keys if isinstance(key, ast.Constant)]
        assert keys[0] == "event"
        assert not RESERVED & {str(key) for key in keys}
