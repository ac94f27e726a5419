"""The master with a sizing policy: forks, deaths, time and the scoreboard scripted."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from prefork.master import sizer as sizing
from prefork.policies.sizing.steps import SURPLUS_PATIENCE
from prefork.settings import Settings, SettingsError
from prefork.workers.protocol.channel import Kind, Message
from prefork.workers.protocol.exit_codes import ExitCode
from prefork.workers.protocol.scoreboard import State
from tests.support.fake_system import MakeStage, Stage
from tests.support.pools import LOOPBACK, messages


class FakeMachine:
    """All the CPU and memory there is, unless the test says otherwise."""

    left = 1.0
    room: int | None = None

    def cpu_left(self) -> float:
        return self.left

    def memory_room(self, now: float, persistent: int, ready: object) -> int | None:
        return None if self.room is None else self.room - persistent


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    machine = FakeMachine()
    monkeypatch.setattr(sizing, "MachineCapacity", lambda: machine)
    return machine


@pytest.fixture
def clients(stage: Stage) -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as clients:
        yield clients


@pytest.fixture
def port(stage: Stage) -> None:
    """A listener that may have siblings."""
    stage.host.listener.close()
    stage.host.listener = socket.create_server(LOOPBACK, reuse_port=True)


def come(stage: Stage, clients: contextlib.ExitStack, count: int) -> None:
    """So many clients wait in the backlog."""
    for _ in range(count):
        clients.enter_context(socket.create_connection(stage.host.listener.getsockname()))


def go(stage: Stage, clients: contextlib.ExitStack) -> None:
    """Nobody waits in the backlog any more."""
    stage.host.listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            stage.host.listener.accept()[0].close()
    clients.close()


def begin(stage: Stage, most: int, **settings: Any) -> None:
    stage.host.most = most
    stage.host.set = Settings(**settings)
    stage.start()
    stage.all_show(State.IDLE)


def look(stage: Stage) -> int:
    """Let the time pass until the master looks; the processes that there are then."""
    due = stage.master.next_timeout()
    assert due is not None
    stage.tick(seconds=due)
    stage.all_ready()
    return len(stage.host.workers)


def orders(stage: Stage, pid: int) -> list[Kind]:
    """What a worker has been told that it has not heard yet."""
    heard = []
    with contextlib.suppress(BlockingIOError):
        while (message := stage.heard_by(pid)) is not None:
            heard.append(message.kind)
            if message.fd is not None:
                os.close(message.fd)
    return heard


def is_woken(stage: Stage) -> bool:
    return bool(select.select([stage.master], [], [], 0)[0])


def test_a_static_pool_is_as_large_as_it_may_be_and_nobody_looks(stage: Stage) -> None:
    begin(stage, 3)
    stage.tick(seconds=5)
    assert len(stage.host.workers) == 3
    assert stage.master.next_timeout() is None


def test_ondemand_forks_nobody_until_a_client_comes_and_the_master_hears_it_at_once(
    stage: Stage, clients: contextlib.ExitStack
) -> None:
    begin(stage, 3, sizing="ondemand")
    assert not stage.host.workers
    assert stage.master.next_timeout() is None
    assert not is_woken(stage)
    come(stage, clients, 2)
    assert is_woken(stage)
    stage.tick()
    assert len(stage.host.workers) == 2
    assert not is_woken(stage), "who waits for a worker that starts is no news"


def test_a_pool_that_begins_with_nobody_outlives_a_first_worker_that_cannot_start(
    stage: Stage, clients: contextlib.ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    """It used to end with the first client, who may come days after the start."""
    begin(stage, 3, sizing="ondemand")
    come(stage, clients, 1)
    stage.tick()
    (pid,) = stage.host.workers
    stage.say(pid, Message(Kind.FAILED, b"Traceback: here\nOSError: no database"))
    stage.dies(pid, ExitCode.BOOT_FAILED)
    assert "Traceback: here" in caplog.text
    stage.system.fork_error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    stage.tick(seconds=2)
    stage.system.fork_error = None
    stage.tick(seconds=5)
    assert len(stage.host.workers) == 1


def test_ondemand_has_nobody_left_after_the_idle_timeout_and_hears_the_next_client(
    stage: Stage, clients: contextlib.ExitStack
) -> None:
    begin(stage, 3, sizing="ondemand", idle_timeout=2.0)
    come(stage, clients, 2)
    stage.tick()
    stage.all_ready()
    stage.all_show(State.IDLE)
    go(stage, clients)
    while "retiring" not in stage.states():
        look(stage)
    for pid in list(stage.host.workers):
        assert stage.heard_by(pid).kind is Kind.RETIRE  # type: ignore[union-attr]
        stage.dies(pid, ExitCode.DONE)
    stage.tick(seconds=60)
    assert stage.master.next_timeout() is None
    come(stage, clients, 1)
    assert is_woken(stage)
    stage.tick()
    assert len(stage.host.workers) == 1


def test_ondemand_hears_a_client_while_all_are_busy_but_not_once_there_may_be_no_more(
    stage: Stage, clients: contextlib.ExitStack
) -> None:
    begin(stage, 2, sizing="ondemand", min_children=1)
    stage.all_show(State.BUSY)
    look(stage)
    come(stage, clients, 1)
    assert is_woken(stage)
    stage.tick()
    assert len(stage.host.workers) == 2
    stage.all_ready()
    stage.all_show(State.BUSY)
    look(stage)
    assert not is_woken(stage)


def test_a_listener_that_is_closed_while_the_master_listens_there_is_forgotten(
    stage: Stage, clients: contextlib.ExitStack
) -> None:
    begin(stage, 2, sizing="ondemand")
    come(stage, clients, 1)
    with stage.host.listener.dup():  # a worker holds it
        stage.host.listener.close()
        assert is_woken(stage)
        stage.tick()
        assert not is_woken(stage)


def test_load_grows_within_two_seconds_and_each_decision_is_one_line(
    stage_of: MakeStage,
    machine: FakeMachine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "prefork")
    machine.left = 0.7
    stage = stage_of(cores=8)
    with contextlib.ExitStack() as clients:
        begin(stage, 8, sizing="load")
        began = stage.system.now
        come(stage, clients, 5)
        while len(stage.host.workers) < 8:
            stage.all_show(State.BUSY)
            look(stage)
    assert stage.system.now - began < 2
    assert messages(caplog.records)[0] == (
        "Scaling from 1 to 2 workers: all are busy, 5 clients wait, 70 % of the CPU is idle."
    )
    assert len(messages(caplog.records)) == 3


def test_a_full_pool_says_once_how_many_wait(
    stage: Stage,
    clients: contextlib.ExitStack,
    machine: FakeMachine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begin(stage, 2, sizing="load")
    come(stage, clients, 4)
    for _ in range(20):
        stage.all_show(State.BUSY)
        look(stage)
    assert messages(caplog.records, logging.WARNING) == [
        "Staying at 2 workers: max_children is reached, 4 clients wait."
    ]


def test_memory_for_three_workers_is_for_three(
    stage: Stage,
    clients: contextlib.ExitStack,
    machine: FakeMachine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine.room = 3
    begin(stage, 8, sizing="load")
    come(stage, clients, 5)
    for _ in range(20):
        stage.all_show(State.BUSY)
        look(stage)
    assert len(stage.host.workers) == 3
    (said,) = messages(caplog.records, logging.WARNING)
    assert said.startswith("Staying at 3 workers: no more workers fit into memory")


def test_memory_counts_also_where_nobody_is_busy_at_the_moment_of_a_look(
    stage: Stage, machine: FakeMachine
) -> None:
    """With many short requests it used to be forgotten then, and the pool grew."""
    machine.room = 1
    begin(stage, 4, sizing="load")
    (pid,) = stage.host.workers
    began = stage.system.now
    for _ in range(8):
        stage.shows(pid, State.IDLE, busy=0.9 * (stage.system.now - began))
        assert look(stage) == 1


def test_a_policy_never_has_a_busy_worker_leave_but_a_lower_max_children_has(
    stage: Stage, clients: contextlib.ExitStack
) -> None:
    begin(stage, 4, sizing="ondemand", idle_timeout=1.0)
    come(stage, clients, 4)
    stage.tick()
    stage.all_ready()
    go(stage, clients)
    assert look(stage) == 4
    stage.tick(seconds=10 * SURPLUS_PATIENCE)  # nobody is needed, but nobody says that it is idle
    look(stage)
    assert "retiring" not in stage.states()
    stage.host.most = 3
    stage.tick()
    stage.tick(seconds=SURPLUS_PATIENCE)
    assert stage.states().count("retiring") == 1
    stage.all_show(State.IDLE)
    look(stage)
    assert stage.states().count("retiring") == 4


def test_a_worker_that_dies_is_replaced_whatever_the_policy(
    stage: Stage, machine: FakeMachine
) -> None:
    for name in ("load", "spare"):
        begin(stage, 4, sizing=name, min_children=2)
        stage.tick(seconds=5)
        stage.dies(min(stage.host.workers), ExitCode.CRASHED)
        assert len(stage.host.workers) == 2
        stage.master.begin_drain()
        for pid in list(stage.host.workers):
            stage.dies(pid, ExitCode.DONE)


def test_where_requests_cannot_be_handed_over_there_is_nothing_to_decide(
    stage: Stage, machine: FakeMachine
) -> None:
    begin(stage, 4, sizing="load", strategy="handoff")
    stage.tick(seconds=5)
    stage.master.dispatch(object(), ("127.0.0.1", 1))  # a TLS connection, say
    stage.tick(seconds=5)
    assert stage.states().count("retiring") == 1
    for pid in list(stage.host.workers):
        stage.dies(pid, ExitCode.DONE)
    assert stage.master.next_timeout() is None


def test_more_workers_than_there_may_be_are_refused_when_the_loop_begins(stage: Stage) -> None:
    stage.host.set = Settings(sizing="load", min_children=3)
    with pytest.raises(SettingsError, match="min_children is 3, which is more than max_children"):
        stage.master.start()
    stage.host.set = Settings()
    stage.start()


@pytest.mark.usefixtures("port")
def test_reuseport_listeners_that_are_opened_in_a_later_run_are_given_to_workers(
    stage: Stage,
) -> None:
    """Those of the former run counted as given still, and nobody took the clients of the new."""
    begin(stage, 3, strategy="reuseport", sizing="spare")
    (pid,) = stage.host.workers
    assert orders(stage, pid) == [Kind.ADD_LISTENER] * 2
    stage.master.begin_drain()
    stage.dies(pid, ExitCode.DONE)
    begin(stage, 1, strategy="reuseport", sizing="spare")
    stage.host.most = 3
    stage.host.set = replace(stage.host.set, min_children=2)
    assert look(stage) == 2
    assert [order for pid in stage.host.workers for order in orders(stage, pid)] == [
        Kind.ADD_LISTENER
    ]


@pytest.mark.usefixtures("port")
def test_reuseport_the_listener_of_who_dies_as_fewer_are_wanted_is_given_to_another(
    stage: Stage,
) -> None:
    """It used to wait for a replacement that nobody wanted any more, and its clients with it."""
    begin(stage, 3, strategy="reuseport", sizing="spare", min_children=3)
    pids = sorted(stage.host.workers)
    assert not any(orders(stage, pid) for pid in pids), "who starts looks after its own"
    stage.host.set = replace(stage.host.set, min_children=1, max_spare=1)
    stage.system.now += stage.master.next_timeout() or 0.0
    stage.dies(pids.pop(), ExitCode.DONE)
    assert [order for pid in pids for order in orders(stage, pid)] == [Kind.ADD_LISTENER]


def test_out_of_descriptors_the_master_looks_by_the_clock(
    stage: Stage, clients: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as out_of_them:
        out_of_them.setattr("prefork.master.arrival_watch.select.epoll", none_left)
        begin(stage, 2, sizing="ondemand")
    come(stage, clients, 1)
    assert look(stage) == 1
