"""The search for leaks finds each kind of thing a test may leave behind."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.support.announcements import Gate
from tests.support.children import children, fork_and_run, kill_and_reap, state_of
from tests.support.leaks import Surroundings


@pytest.fixture
def before() -> Iterator[Surroundings]:
    surroundings = Surroundings.now()
    yield surroundings
    surroundings.restore()


def test_an_idle_process_shows_no_changes(before: Surroundings) -> None:
    assert before.changes() == []


def test_a_running_child_is_found_and_ended(gate: Gate, before: Surroundings) -> None:
    pid = fork_and_run(gate.wait)
    [sentence] = before.changes()
    assert f"child {pid} is left behind (running" in sentence
    before.restore()
    assert pid not in children()


def test_a_zombie_is_found(before: Surroundings) -> None:
    pid = fork_and_run(lambda: None)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert state_of(pid) == "Z"
    assert before.changes() == [f"child {pid} is left behind (a zombie)"]
    kill_and_reap(pid)


def test_an_open_descriptor_is_found(before: Surroundings) -> None:
    reader, writer = os.pipe()
    try:
        assert len(before.changes()) == 2
        assert all("pipe:" in sentence for sentence in before.changes())
    finally:
        os.close(reader)
        os.close(writer)
    assert before.changes() == []


def test_a_running_thread_is_found(before: Surroundings) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="straggler")
    thread.start()
    try:
        assert before.changes() == ["thread 'straggler' still runs"]
    finally:
        end.set()
        thread.join()


def test_a_signal_handler_is_found_and_put_back(before: Surroundings) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    assert len(before.changes()) == 1
    assert "SIGUSR1" in before.changes()[0]
    before.restore()
    assert before.changes() == []


def test_a_changed_signal_mask_is_found_and_put_back(before: Surroundings) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    assert len(before.changes()) == 1
    assert "mask" in before.changes()[0]
    before.restore()
    assert before.changes() == []
