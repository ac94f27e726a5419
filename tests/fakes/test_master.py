"""The master's decisions, with forks, deaths and time scripted."""

from __future__ import annotations

import errno
import logging
import os
import signal

import pytest

from prefork.policies.sizing.steps import SURPLUS_PATIENCE
from prefork.settings import Settings
from prefork.state.lifecycle import PoolState
from prefork.state.reports import StartError
from prefork.workers.protocol.channel import Kind, Message
from prefork.workers.protocol.exit_codes import ExitCode
from tests.support.fake_system import MakeStage, Stage


def test_nothing_is_forked_before_the_loop_begins(stage: Stage) -> None:
    stage.master.tick()
    assert stage.system.forked == []
    stage.start()
    assert len(stage.system.forked) == stage.host.most


def test_no_more_unready_workers_than_cores(stage_of: MakeStage) -> None:
    stage = stage_of(cores=2)
    stage.host.most = 5
    stage.start(ready=False)
    assert len(stage.host.workers) == 2
    stage.all_ready()
    assert len(stage.host.workers) == 4
    stage.all_ready()
    assert len(stage.host.workers) == 5


def test_while_as_many_start_as_there_are_cores_the_master_sleeps(stage_of: MakeStage) -> None:
    """It used to turn without a pause until all were ready, on a core that they needed."""
    stage = stage_of(cores=2)
    stage.host.most = 5
    stage.start(ready=False)
    assert stage.master.next_timeout() == Settings().start_timeout


def test_a_worker_that_dies_is_replaced_in_the_same_turn(stage: Stage) -> None:
    stage.start()
    stage.tick(seconds=5)
    first = min(stage.host.workers)
    stage.dies(first, -signal.SIGSEGV)
    assert len(stage.host.workers) == 2
    assert first not in stage.host.workers


def test_somebody_elses_kill_is_not_blamed_on_the_start(stage: Stage) -> None:
    stage.start()
    stage.dies(min(stage.host.workers), -signal.SIGKILL)
    assert len(stage.host.workers) == 2


def test_after_early_deaths_replacements_are_started_later_and_later(stage: Stage) -> None:
    stage.host.most = 1
    stage.start()
    stage.dies(min(stage.host.workers), 1)
    assert stage.master.next_timeout() == pytest.approx(1.5)
    stage.tick(seconds=1.4)
    assert not stage.host.workers
    stage.tick(seconds=0.2)
    assert len(stage.host.workers) == 1
    stage.dies(min(stage.host.workers), 1)
    assert stage.master.next_timeout() == pytest.approx(1.5**2)


def test_the_first_generation_that_cannot_start_is_an_error_with_the_traceback(
    stage: Stage,
) -> None:
    stage.start(ready=False)
    first, second = sorted(stage.host.workers)
    stage.say(first, Message(Kind.FAILED, b"ZeroDivisionError: in my hook"))
    stage.dies(first, ExitCode.BOOT_FAILED)
    stage.say(second, Message(Kind.FAILED, b"ZeroDivisionError: in my hook"))
    with pytest.raises(StartError, match="ZeroDivisionError: in my hook"):
        stage.dies(second, ExitCode.BOOT_FAILED)


def test_a_first_fork_that_fails_is_an_error(stage: Stage) -> None:
    stage.system.fork_error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    with pytest.raises(StartError, match=os.strerror(errno.EAGAIN)):
        stage.start(ready=False)


def test_the_traceback_of_a_start_that_failed_is_shown_once(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """By the error while nobody has ever been ready, by the log later; what it was by both."""
    failure = Message(Kind.FAILED, b"Traceback: here\nZeroDivisionError: in my hook")
    stage.host.most = 1
    stage.start(ready=False)
    stage.say(min(stage.host.workers), failure)
    with pytest.raises(StartError, match="Traceback: here"):
        stage.dies(min(stage.host.workers), ExitCode.BOOT_FAILED)
    assert "could not start (ZeroDivisionError: in my hook)" in caplog.text
    assert "Traceback: here" not in caplog.text
    stage.start()
    stage.tick(seconds=5)
    stage.dies(min(stage.host.workers), -signal.SIGSEGV)
    stage.say(min(stage.host.workers), failure)
    stage.dies(min(stage.host.workers), ExitCode.BOOT_FAILED)
    assert "Traceback: here" in caplog.text


def test_a_pool_boots_until_a_worker_is_ready_and_then_runs(stage: Stage) -> None:
    stage.start(ready=False)
    seen = [stage.master.state]
    stage.say(min(stage.host.workers), Message(Kind.READY))
    stage.tick()
    seen.append(stage.master.state)
    assert seen == [PoolState.BOOTING, PoolState.RUNNING]


def test_a_pool_that_begins_without_workers_runs_at_once(stage: Stage) -> None:
    stage.host.set = Settings(strategy="fork")
    stage.start()
    assert stage.master.state is PoolState.RUNNING


def test_a_worker_of_an_earlier_run_that_is_ready_at_last_does_not_end_the_boot(
    stage: Stage,
) -> None:
    """Its start says nothing about those of the present run."""
    stage.start(ready=False)
    earlier = set(stage.host.workers)
    stage.master.begin_drain()
    stage.host.most = 4
    stage.start(ready=False)
    for pid in earlier:
        stage.say(pid, Message(Kind.READY))
    stage.tick()
    assert stage.master.state is PoolState.BOOTING
    for pid in stage.host.workers - earlier:
        stage.say(pid, Message(Kind.FAILED, b"ZeroDivisionError: in my hook"))
        stage.system.die(pid, ExitCode.BOOT_FAILED)
    with pytest.raises(StartError, match="in my hook"):
        stage.tick()


def test_a_later_failure_to_start_leaves_the_others_alone(stage: Stage) -> None:
    stage.start()
    stage.tick(seconds=5)
    stage.dies(min(stage.host.workers), -signal.SIGSEGV)
    replacement = max(stage.host.workers)
    stage.dies(replacement, ExitCode.BOOT_FAILED)
    stage.dies(min(stage.host.workers), ExitCode.CRASHED)
    assert stage.master.state is PoolState.RUNNING


def test_a_worker_that_is_not_ready_in_time_is_killed(stage: Stage) -> None:
    stage.host.set = Settings(start_timeout=2.0)
    stage.start(ready=False)
    first, second = sorted(stage.host.workers)
    stage.say(first, Message(Kind.READY))
    stage.tick(seconds=1.0)
    assert stage.system.signals == []
    assert stage.master.next_timeout() == pytest.approx(1.0)
    stage.tick(seconds=1.0)
    assert stage.system.signals == [(second, signal.SIGKILL)]
    stage.tick(seconds=9.0)
    assert stage.system.signals == [(second, signal.SIGKILL)]


def test_the_pool_grows_at_once_and_shrinks_by_idle_workers(stage: Stage) -> None:
    stage.start()
    stage.host.most = 4
    stage.tick()
    stage.all_ready()
    assert len(stage.host.workers) == 4
    stage.host.most = 1
    stage.tick()
    assert stage.master.next_timeout() is not None
    assert "retiring" not in stage.states()  # none has said that it is idle
    stage.tick(seconds=SURPLUS_PATIENCE)
    assert stage.states().count("retiring") == 3


def test_a_retired_worker_is_told_and_not_replaced(stage: Stage) -> None:
    stage.start()
    stage.host.most = 1
    stage.tick()
    stage.tick(seconds=SURPLUS_PATIENCE)
    told = [pid for pid in stage.host.workers if _heard(stage, pid) == Message(Kind.RETIRE)]
    assert len(told) == 1
    stage.dies(told[0], ExitCode.DONE)
    assert len(stage.host.workers) == 1
    assert len(stage.system.forked) == 2


def _heard(stage: Stage, pid: int) -> Message | None:
    try:
        return stage.heard_by(pid)
    except BlockingIOError:
        return None


def test_a_recycled_worker_is_replaced_at_once_however_young(stage: Stage) -> None:
    stage.start()
    stage.dies(min(stage.host.workers), ExitCode.RECYCLED)
    assert len(stage.host.workers) == 2


def test_resting_asks_everybody_to_drain_and_ends_closed(stage: Stage) -> None:
    stage.start()
    stage.master.begin_drain()
    for pid in list(stage.host.workers):
        assert stage.master.state is PoolState.DRAINING
        heard = stage.heard_by(pid)
        assert heard is not None
        assert heard.kind is Kind.DRAIN
        stage.dies(pid, ExitCode.DONE)
    assert stage.master.state.name == "CLOSED"
    assert len(stage.system.forked) == 2


def test_whoever_outlasts_the_grace_is_killed(stage: Stage) -> None:
    stage.host.set = Settings(graceful_timeout=3.0)
    stage.start()
    stage.master.begin_drain()
    stage.tick(seconds=2.9)
    assert stage.system.signals == []
    stage.tick(seconds=0.2)
    assert {pid for pid, _ in stage.system.signals} == stage.host.workers
    assert stage.master.state is PoolState.STOPPING


def test_a_second_rest_does_not_prolong_the_graceful_timeout(stage: Stage) -> None:
    stage.host.set = Settings(graceful_timeout=3.0)
    stage.start()
    stage.master.begin_drain()
    stage.system.now += 2.0
    stage.master.begin_drain()
    stage.tick(seconds=1.1)
    assert stage.master.state is PoolState.STOPPING


def test_a_handlers_wish_to_stop_reaches_the_server(stage: Stage) -> None:
    stage.start()
    stage.say(min(stage.host.workers), Message(Kind.STOP))
    stage.tick()
    assert stage.host.stopped


def test_last_words_count_even_if_the_death_is_seen_first(stage: Stage) -> None:
    """The channel and the pidfd become readable in one wake-up, in any order."""
    stage.start()
    pid = min(stage.host.workers)
    stage.say(pid, Message(Kind.STOP))
    stage.dies(pid, ExitCode.CRASHED)
    assert stage.host.stopped


def test_a_fork_that_fails_is_tried_again_later(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.start()
    stage.tick(seconds=5)
    stage.system.fork_error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    with caplog.at_level(logging.ERROR, "prefork"):
        for pid in list(stage.host.workers):
            stage.dies(pid, -signal.SIGSEGV)
    assert sum("No worker could be started" in line for line in caplog.messages) == 1
    assert not stage.host.workers
    stage.system.fork_error = None
    stage.tick(seconds=31)
    assert len(stage.host.workers) == 2


def test_a_status_taken_by_somebody_else_still_ends_the_record(stage: Stage) -> None:
    stage.start()
    stage.tick(seconds=5)
    pid = min(stage.host.workers)
    stage.system.stolen.add(pid)
    stage.dies(pid, 0)
    assert pid not in stage.host.workers


def test_under_fork_no_worker_stands_and_the_listener_is_wanted_while_there_is_room(
    stage: Stage,
) -> None:
    stage.host.set = Settings(strategy="fork")
    stage.start()
    assert not stage.system.forked
    for _ in range(stage.host.most):
        assert stage.master.wants_listener()
        stage.master.dispatch(object(), ("127.0.0.1", 1))
    assert not stage.master.wants_listener()
    stage.dies(min(stage.host.workers), 0)
    assert stage.master.wants_listener()


def test_a_clock_that_jumps_over_a_suspend_kills_nobody_who_is_ready(stage: Stage) -> None:
    stage.start()
    stage.tick(seconds=86_400)
    assert stage.system.signals == []
    assert len(stage.system.forked) == 2
