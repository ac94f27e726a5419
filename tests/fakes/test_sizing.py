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
from prefork.workers.protocol.exit_codes import ExitCode
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.protocol.scoreboard import State
from tests.support.fake_system import FakePool, MakePool
from tests.support.pools import LOOPBACK, messages


class FakeMachine:
    """A machine with idle CPU and free memory, unless the test says otherwise."""

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
def clients(pool: FakePool) -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as clients:
        yield clients


@pytest.fixture
def port(pool: FakePool) -> None:
    """Give the pool a listener with SO_REUSEPORT, so that there may be others on the same port."""
    pool.server.listener.close()
    pool.server.listener = socket.create_server(LOOPBACK, reuse_port=True)


def clients_connect(pool: FakePool, clients: contextlib.ExitStack, count: int) -> None:
    """Connect `count` clients, which wait in the backlog."""
    for _ in range(count):
        clients.enter_context(socket.create_connection(pool.server.listener.getsockname()))


def clients_leave(pool: FakePool, clients: contextlib.ExitStack) -> None:
    """Empty the backlog and close the clients."""
    pool.server.listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            pool.server.listener.accept()[0].close()
    clients.close()


def begin(pool: FakePool, most: int, **settings: Any) -> None:
    pool.server.most = most
    pool.server.set = Settings(**settings)
    pool.start()
    pool.all_show(State.IDLE)


def look(pool: FakePool) -> int:
    """Advance the clock to the policy's next look; return the number of workers then."""
    due = pool.master.next_timeout()
    assert due is not None
    pool.tick(seconds=due)
    pool.all_ready()
    return len(pool.server.workers)


def orders(pool: FakePool, pid: int) -> list[Kind]:
    """Receive the orders that wait in a worker's channel."""
    kinds = []
    with contextlib.suppress(BlockingIOError):
        while (message := pool.received_by(pid)) is not None:
            kinds.append(message.kind)
            if message.fd is not None:
                os.close(message.fd)
    return kinds


def is_woken(pool: FakePool) -> bool:
    return bool(select.select([pool.master], [], [], 0)[0])


def test_a_static_pool_has_max_children_workers_and_never_looks(pool: FakePool) -> None:
    begin(pool, 3)
    pool.tick(seconds=5)
    assert len(pool.server.workers) == 3
    assert pool.master.next_timeout() is None


def test_ondemand_forks_no_worker_until_a_client_wakes_the_master(
    pool: FakePool, clients: contextlib.ExitStack
) -> None:
    begin(pool, 3, sizing="ondemand")
    assert not pool.server.workers
    assert pool.master.next_timeout() is None
    assert not is_woken(pool)
    clients_connect(pool, clients, 2)
    assert is_woken(pool)
    pool.tick()
    assert len(pool.server.workers) == 2
    assert not is_woken(pool), "a worker is starting for this client already"


def test_a_pool_that_begins_empty_survives_a_first_worker_that_cannot_start(
    pool: FakePool, clients: contextlib.ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    """The failed start used to end the server, possibly days after the loop had begun."""
    begin(pool, 3, sizing="ondemand")
    clients_connect(pool, clients, 1)
    pool.tick()
    (pid,) = pool.server.workers
    pool.say(pid, Message(Kind.FAILED, b"Traceback: here\nOSError: no database"))
    pool.dies(pid, ExitCode.BOOT_FAILED)
    assert "Traceback: here" in caplog.text
    pool.system.fork_error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    pool.tick(seconds=2)
    pool.system.fork_error = None
    pool.tick(seconds=5)
    assert len(pool.server.workers) == 1


def test_ondemand_is_empty_after_the_idle_timeout_and_the_next_client_wakes_the_master(
    pool: FakePool, clients: contextlib.ExitStack
) -> None:
    begin(pool, 3, sizing="ondemand", idle_timeout=2.0)
    clients_connect(pool, clients, 2)
    pool.tick()
    pool.all_ready()
    pool.all_show(State.IDLE)
    clients_leave(pool, clients)
    while "retiring" not in pool.states():
        look(pool)
    for pid in list(pool.server.workers):
        assert pool.received_by(pid).kind is Kind.RETIRE  # type: ignore[union-attr]
        pool.dies(pid, ExitCode.DONE)
    pool.tick(seconds=60)
    assert pool.master.next_timeout() is None
    clients_connect(pool, clients, 1)
    assert is_woken(pool)
    pool.tick()
    assert len(pool.server.workers) == 1


def test_with_ondemand_a_client_wakes_the_master_while_all_are_busy_below_max_children(
    pool: FakePool, clients: contextlib.ExitStack
) -> None:
    begin(pool, 2, sizing="ondemand", min_children=1)
    pool.all_show(State.BUSY)
    look(pool)
    clients_connect(pool, clients, 1)
    assert is_woken(pool)
    pool.tick()
    assert len(pool.server.workers) == 2
    pool.all_ready()
    pool.all_show(State.BUSY)
    look(pool)
    assert not is_woken(pool)


def test_a_listener_that_is_closed_while_the_master_watches_it_is_forgotten(
    pool: FakePool, clients: contextlib.ExitStack
) -> None:
    begin(pool, 2, sizing="ondemand")
    clients_connect(pool, clients, 1)
    with pool.server.listener.dup():  # a worker has a copy
        pool.server.listener.close()
        assert is_woken(pool)
        pool.tick()
        assert not is_woken(pool)


def test_load_grows_within_two_seconds_and_each_decision_is_one_line(
    pool_of: MakePool,
    machine: FakeMachine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "prefork")
    machine.left = 0.7
    pool = pool_of(cores=8)
    with contextlib.ExitStack() as clients:
        begin(pool, 8, sizing="load")
        began = pool.system.now
        clients_connect(pool, clients, 5)
        while len(pool.server.workers) < 8:
            pool.all_show(State.BUSY)
            look(pool)
    assert pool.system.now - began < 2
    assert messages(caplog.records)[0] == (
        "Scaling from 1 to 2 workers: all are busy, 5 clients wait, 70 % of the CPU is idle."
    )
    assert len(messages(caplog.records)) == 3


def test_a_full_pool_says_once_how_many_wait(
    pool: FakePool,
    clients: contextlib.ExitStack,
    machine: FakeMachine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begin(pool, 2, sizing="load")
    clients_connect(pool, clients, 4)
    for _ in range(20):
        pool.all_show(State.BUSY)
        look(pool)
    assert messages(caplog.records, logging.WARNING) == [
        "Staying at 2 workers: max_children is reached, 4 clients wait."
    ]


def test_with_memory_for_three_workers_there_are_three(
    pool: FakePool,
    clients: contextlib.ExitStack,
    machine: FakeMachine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine.room = 3
    begin(pool, 8, sizing="load")
    clients_connect(pool, clients, 5)
    for _ in range(20):
        pool.all_show(State.BUSY)
        look(pool)
    assert len(pool.server.workers) == 3
    (warning,) = messages(caplog.records, logging.WARNING)
    assert warning.startswith("Staying at 3 workers: no more workers fit into memory")


def test_memory_limits_the_pool_also_when_no_worker_is_busy_at_a_look(
    pool: FakePool, machine: FakeMachine
) -> None:
    """With many short requests the limit used to be ignored then, and the pool grew."""
    machine.room = 1
    begin(pool, 4, sizing="load")
    (pid,) = pool.server.workers
    began = pool.system.now
    for _ in range(8):
        pool.shows(pid, State.IDLE, busy=0.9 * (pool.system.now - began))
        assert look(pool) == 1


def test_a_policy_retires_no_busy_worker_but_a_lower_max_children_does(
    pool: FakePool, clients: contextlib.ExitStack
) -> None:
    begin(pool, 4, sizing="ondemand", idle_timeout=1.0)
    clients_connect(pool, clients, 4)
    pool.tick()
    pool.all_ready()
    clients_leave(pool, clients)
    assert look(pool) == 4
    # No worker is needed, but the scoreboard shows none as idle.
    pool.tick(seconds=10 * SURPLUS_PATIENCE)
    look(pool)
    assert "retiring" not in pool.states()
    pool.server.most = 3
    pool.tick()
    pool.tick(seconds=SURPLUS_PATIENCE)
    assert pool.states().count("retiring") == 1
    pool.all_show(State.IDLE)
    look(pool)
    assert pool.states().count("retiring") == 4


def test_a_worker_that_dies_is_replaced_whatever_the_policy(
    pool: FakePool, machine: FakeMachine
) -> None:
    for name in ("load", "spare"):
        begin(pool, 4, sizing=name, min_children=2)
        pool.tick(seconds=5)
        pool.dies(min(pool.server.workers), ExitCode.CRASHED)
        assert len(pool.server.workers) == 2
        pool.master.begin_drain()
        for pid in list(pool.server.workers):
            pool.dies(pid, ExitCode.DONE)


def test_where_requests_cannot_be_handed_over_the_policy_has_nothing_to_decide(
    pool: FakePool, machine: FakeMachine
) -> None:
    begin(pool, 4, sizing="load", strategy="handoff")
    pool.tick(seconds=5)
    pool.master.dispatch(object(), ("127.0.0.1", 1))  # for example a TLS connection
    pool.tick(seconds=5)
    assert pool.states().count("retiring") == 1
    for pid in list(pool.server.workers):
        pool.dies(pid, ExitCode.DONE)
    assert pool.master.next_timeout() is None


def test_a_min_children_above_max_children_is_refused_when_the_loop_begins(pool: FakePool) -> None:
    pool.server.set = Settings(sizing="load", min_children=3)
    with pytest.raises(SettingsError, match=r"min_children \(3\) is greater than max_children"):
        pool.master.start()
    pool.server.set = Settings()
    pool.start()


@pytest.mark.usefixtures("port")
def test_reuseport_listeners_that_are_opened_in_a_later_run_are_passed_to_workers(
    pool: FakePool,
) -> None:
    """They used to be taken as passed on in the earlier run, and their clients were not served."""
    begin(pool, 3, strategy="reuseport", sizing="spare")
    (pid,) = pool.server.workers
    assert orders(pool, pid) == [Kind.ADD_LISTENER] * 2
    pool.master.begin_drain()
    pool.dies(pid, ExitCode.DONE)
    begin(pool, 1, strategy="reuseport", sizing="spare")
    pool.server.most = 3
    pool.server.set = replace(pool.server.set, min_children=2)
    assert look(pool) == 2
    assert [order for pid in pool.server.workers for order in orders(pool, pid)] == [
        Kind.ADD_LISTENER
    ]


@pytest.mark.usefixtures("port")
def test_reuseport_the_listener_of_a_dead_worker_that_is_not_replaced_is_passed_to_another(
    pool: FakePool,
) -> None:
    """The listener and its clients used to wait for a replacement that was no longer wanted."""
    begin(pool, 3, strategy="reuseport", sizing="spare", min_children=3)
    pids = sorted(pool.server.workers)
    assert not any(orders(pool, pid) for pid in pids), "a new worker has its own listener"
    pool.server.set = replace(pool.server.set, min_children=1, max_spare=1)
    pool.system.now += pool.master.next_timeout() or 0.0
    pool.dies(pids.pop(), ExitCode.DONE)
    assert [order for pid in pids for order in orders(pool, pid)] == [Kind.ADD_LISTENER]


def test_without_a_free_descriptor_the_master_looks_at_intervals(
    pool: FakePool, clients: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as no_descriptors:
        no_descriptors.setattr("prefork.master.arrival_watch.select.epoll", none_left)
        begin(pool, 2, sizing="ondemand")
    clients_connect(pool, clients, 1)
    assert look(pool) == 1
