"""The master's decisions, with forks, deaths and time scripted."""

from __future__ import annotations

import errno
import logging
import os
import signal

import pytest

from prefork.policies.sizing.steps import SURPLUS_PATIENCE
from prefork.settings import Settings
from prefork.state.exit_reports import StartError
from prefork.state.lifecycle import PoolState
from prefork.workers.protocol.exit_codes import ExitCode
from prefork.workers.protocol.messages import Kind, Message
from tests.support.fake_system import FakePool, MakePool


def test_nothing_is_forked_before_the_loop_begins(pool: FakePool) -> None:
    pool.master.tick()
    assert pool.system.forked == []
    pool.start()
    assert len(pool.system.forked) == pool.server.most


def test_no_more_unready_workers_than_cores(pool_of: MakePool) -> None:
    pool = pool_of(cores=2)
    pool.server.most = 5
    pool.start(ready=False)
    assert len(pool.server.workers) == 2
    pool.all_ready()
    assert len(pool.server.workers) == 4
    pool.all_ready()
    assert len(pool.server.workers) == 5


def test_the_master_waits_while_as_many_workers_start_as_there_are_cores(pool_of: MakePool) -> None:
    """It used to spin until all were ready, on a core that they needed."""
    pool = pool_of(cores=2)
    pool.server.most = 5
    pool.start(ready=False)
    assert pool.master.next_timeout() == Settings().start_timeout


def test_a_worker_that_dies_is_replaced_in_the_same_tick(pool: FakePool) -> None:
    pool.start()
    pool.tick(seconds=5)
    first = min(pool.server.workers)
    pool.dies(first, -signal.SIGSEGV)
    assert len(pool.server.workers) == 2
    assert first not in pool.server.workers


def test_a_kill_from_outside_is_not_a_failed_start(pool: FakePool) -> None:
    pool.start()
    pool.dies(min(pool.server.workers), -signal.SIGKILL)
    assert len(pool.server.workers) == 2


def test_after_early_deaths_each_replacement_waits_longer(pool: FakePool) -> None:
    pool.server.most = 1
    pool.start()
    pool.dies(min(pool.server.workers), 1)
    assert pool.master.next_timeout() == pytest.approx(1.5)
    pool.tick(seconds=1.4)
    assert not pool.server.workers
    pool.tick(seconds=0.2)
    assert len(pool.server.workers) == 1
    pool.dies(min(pool.server.workers), 1)
    assert pool.master.next_timeout() == pytest.approx(1.5**2)


def test_when_no_worker_of_the_first_generation_can_start_the_error_has_the_traceback(
    pool: FakePool,
) -> None:
    pool.start(ready=False)
    first, second = sorted(pool.server.workers)
    pool.say(first, Message(Kind.FAILED, b"ZeroDivisionError: in my hook"))
    pool.dies(first, ExitCode.BOOT_FAILED)
    pool.say(second, Message(Kind.FAILED, b"ZeroDivisionError: in my hook"))
    with pytest.raises(StartError, match="ZeroDivisionError: in my hook"):
        pool.dies(second, ExitCode.BOOT_FAILED)


def test_a_first_fork_that_fails_is_an_error(pool: FakePool) -> None:
    pool.system.fork_error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    with pytest.raises(StartError, match=os.strerror(errno.EAGAIN)):
        pool.start(ready=False)


def test_the_traceback_of_a_start_that_failed_is_shown_once(
    pool: FakePool, caplog: pytest.LogCaptureFixture
) -> None:
    """In the error before any worker has been ready, then in the log; it used to be in both."""
    failure = Message(Kind.FAILED, b"Traceback: here\nZeroDivisionError: in my hook")
    pool.server.most = 1
    pool.start(ready=False)
    pool.say(min(pool.server.workers), failure)
    with pytest.raises(StartError, match="Traceback: here"):
        pool.dies(min(pool.server.workers), ExitCode.BOOT_FAILED)
    assert "could not start (ZeroDivisionError: in my hook)" in caplog.text
    assert "Traceback: here" not in caplog.text
    pool.start()
    pool.tick(seconds=5)
    pool.dies(min(pool.server.workers), -signal.SIGSEGV)
    pool.say(min(pool.server.workers), failure)
    pool.dies(min(pool.server.workers), ExitCode.BOOT_FAILED)
    assert "Traceback: here" in caplog.text


def test_a_pool_boots_until_a_worker_is_ready_and_then_runs(pool: FakePool) -> None:
    pool.start(ready=False)
    seen = [pool.master.state]
    pool.say(min(pool.server.workers), Message(Kind.READY))
    pool.tick()
    seen.append(pool.master.state)
    assert seen == [PoolState.BOOTING, PoolState.RUNNING]


def test_a_pool_that_begins_without_workers_runs_at_once(pool: FakePool) -> None:
    pool.server.set = Settings(strategy="fork")
    pool.start()
    assert pool.master.state is PoolState.RUNNING


def test_a_worker_of_an_earlier_run_that_becomes_ready_does_not_end_the_boot(
    pool: FakePool,
) -> None:
    """Its start says nothing about the workers of the present run."""
    pool.start(ready=False)
    earlier = set(pool.server.workers)
    pool.master.begin_drain()
    pool.server.most = 4
    pool.start(ready=False)
    for pid in earlier:
        pool.say(pid, Message(Kind.READY))
    pool.tick()
    assert pool.master.state is PoolState.BOOTING
    for pid in pool.server.workers - earlier:
        pool.say(pid, Message(Kind.FAILED, b"ZeroDivisionError: in my hook"))
        pool.system.die(pid, ExitCode.BOOT_FAILED)
    with pytest.raises(StartError, match="in my hook"):
        pool.tick()


def test_a_later_failure_to_start_leaves_the_others_alone(pool: FakePool) -> None:
    pool.start()
    pool.tick(seconds=5)
    pool.dies(min(pool.server.workers), -signal.SIGSEGV)
    replacement = max(pool.server.workers)
    pool.dies(replacement, ExitCode.BOOT_FAILED)
    pool.dies(min(pool.server.workers), ExitCode.CRASHED)
    assert pool.master.state is PoolState.RUNNING


def test_a_worker_that_is_not_ready_in_time_is_killed(pool: FakePool) -> None:
    pool.server.set = Settings(start_timeout=2.0)
    pool.start(ready=False)
    first, second = sorted(pool.server.workers)
    pool.say(first, Message(Kind.READY))
    pool.tick(seconds=1.0)
    assert pool.system.signals == []
    assert pool.master.next_timeout() == pytest.approx(1.0)
    pool.tick(seconds=1.0)
    assert pool.system.signals == [(second, signal.SIGKILL)]
    pool.tick(seconds=9.0)
    assert pool.system.signals == [(second, signal.SIGKILL)]


def test_the_pool_grows_at_once_and_shrinks_by_idle_workers(pool: FakePool) -> None:
    pool.start()
    pool.server.most = 4
    pool.tick()
    pool.all_ready()
    assert len(pool.server.workers) == 4
    pool.server.most = 1
    pool.tick()
    assert pool.master.next_timeout() is not None
    assert "retiring" not in pool.states()  # the scoreboard shows no worker as idle
    pool.tick(seconds=SURPLUS_PATIENCE)
    assert pool.states().count("retiring") == 3


def test_a_retired_worker_gets_the_order_and_is_not_replaced(pool: FakePool) -> None:
    pool.start()
    pool.server.most = 1
    pool.tick()
    pool.tick(seconds=SURPLUS_PATIENCE)
    retired = [pid for pid in pool.server.workers if _message_to(pool, pid) == Message(Kind.RETIRE)]
    assert len(retired) == 1
    pool.dies(retired[0], ExitCode.DONE)
    assert len(pool.server.workers) == 1
    assert len(pool.system.forked) == 2


def _message_to(pool: FakePool, pid: int) -> Message | None:
    try:
        return pool.received_by(pid)
    except BlockingIOError:
        return None


def test_a_recycled_worker_is_replaced_at_once_however_young(pool: FakePool) -> None:
    pool.start()
    pool.dies(min(pool.server.workers), ExitCode.RECYCLED)
    assert len(pool.server.workers) == 2


def test_draining_orders_every_worker_to_drain_and_ends_closed(pool: FakePool) -> None:
    pool.start()
    pool.master.begin_drain()
    for pid in list(pool.server.workers):
        assert pool.master.state is PoolState.DRAINING
        order = pool.received_by(pid)
        assert order is not None
        assert order.kind is Kind.DRAIN
        pool.dies(pid, ExitCode.DONE)
    assert pool.master.state.name == "CLOSED"
    assert len(pool.system.forked) == 2


def test_workers_that_outlast_the_graceful_timeout_are_killed(pool: FakePool) -> None:
    pool.server.set = Settings(graceful_timeout=3.0)
    pool.start()
    pool.master.begin_drain()
    pool.tick(seconds=2.9)
    assert pool.system.signals == []
    pool.tick(seconds=0.2)
    assert {pid for pid, _ in pool.system.signals} == pool.server.workers
    assert pool.master.state is PoolState.STOPPING


def test_a_second_request_to_drain_does_not_prolong_the_graceful_timeout(pool: FakePool) -> None:
    pool.server.set = Settings(graceful_timeout=3.0)
    pool.start()
    pool.master.begin_drain()
    pool.system.now += 2.0
    pool.master.begin_drain()
    pool.tick(seconds=1.1)
    assert pool.master.state is PoolState.STOPPING


def test_a_handlers_request_to_stop_reaches_the_server(pool: FakePool) -> None:
    pool.start()
    pool.say(min(pool.server.workers), Message(Kind.STOP))
    pool.tick()
    assert pool.server.stopped


def test_the_last_message_is_used_even_if_the_death_is_seen_first(pool: FakePool) -> None:
    """The channel and the pidfd become readable in one wake-up, in any order."""
    pool.start()
    pid = min(pool.server.workers)
    pool.say(pid, Message(Kind.STOP))
    pool.dies(pid, ExitCode.CRASHED)
    assert pool.server.stopped


def test_a_fork_that_fails_is_tried_again_later(
    pool: FakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.start()
    pool.tick(seconds=5)
    pool.system.fork_error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    with caplog.at_level(logging.ERROR, "prefork"):
        for pid in list(pool.server.workers):
            pool.dies(pid, -signal.SIGSEGV)
    assert sum("No worker could be started" in line for line in caplog.messages) == 1
    assert not pool.server.workers
    pool.system.fork_error = None
    pool.tick(seconds=31)
    assert len(pool.server.workers) == 2


def test_a_worker_whose_status_was_reaped_elsewhere_is_removed(pool: FakePool) -> None:
    pool.start()
    pool.tick(seconds=5)
    pid = min(pool.server.workers)
    pool.system.stolen.add(pid)
    pool.dies(pid, 0)
    assert pid not in pool.server.workers


def test_with_fork_no_worker_is_persistent_and_the_listener_is_wanted_below_max_children(
    pool: FakePool,
) -> None:
    pool.server.set = Settings(strategy="fork")
    pool.start()
    assert not pool.system.forked
    for _ in range(pool.server.most):
        assert pool.master.wants_listener()
        pool.master.dispatch(object(), ("127.0.0.1", 1))
    assert not pool.master.wants_listener()
    pool.dies(min(pool.server.workers), 0)
    assert pool.master.wants_listener()


def test_a_clock_that_jumps_over_a_suspend_kills_no_ready_worker(pool: FakePool) -> None:
    pool.start()
    pool.tick(seconds=86_400)
    assert pool.system.signals == []
    assert len(pool.system.forked) == 2
