"""The search for leaks finds each kind of thing a test may leave behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.support import leaking
from tests.support.announcements import Gate, Told
from tests.support.checkout import ROOT
from tests.support.children import children, fork_and_run, kill_and_reap, peek_exit_code, state_of
from tests.support.deadlines import HANG, stretched
from tests.support.leaks import Surroundings

FOUND = {
    "child": r"child \d+ is left behind \(running .+\)",
    "zombie": r"child \d+ is left behind \(a zombie\)",
    "orphan": r"child \d+ is left behind \(running .+\)",
    "descriptor": r"descriptor \d+ is still open \(/dev/null\)",
    "thread": r"thread 'straggler' still runs",
    "handler": r"the handler of SIGUSR1 is now .+",
    "mask": r"the signal mask is now \[.+\]",
    "pool": r"child \d+ is left behind .+; descriptor .+; thread 'serve_forever' still runs",
    "latecomer": r"child \d+ was left behind \(running .+\) and was found later",
    "wakeup_descriptor": r"descriptor .+; the signal wake-up descriptor is now \d+",
}
"""What is said of each test in `leaking`."""


@pytest.fixture
def before() -> Iterator[Surroundings]:
    surroundings = Surroundings.now()
    yield surroundings
    surroundings.restore()


@pytest.mark.slow
def test_each_test_that_leaves_something_is_reported_and_no_other() -> None:
    """The automatic fixture at work. Every second test there leaves nothing, and must pass."""
    assert FOUND.keys() == {kind.__name__ for kind in leaking.KINDS}
    environment = {**os.environ, "COLUMNS": "1000"}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-qrE", leaking.__file__],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=stretched(HANG),
        check=False,
    )
    said = "(?:Failed: )?the test leaves something behind: (.+)"
    report = rf"^ERROR \S+::test_leaves\[(\w+)\] - {said}$"
    reported = dict(re.findall(report, answer.stdout, re.MULTILINE))
    assert reported.keys() == FOUND.keys(), answer.stdout
    assert [kind for kind in FOUND if not re.fullmatch(FOUND[kind], reported[kind])] == []
    assert f"{len(leaking.TESTS)} passed, {len(FOUND)} errors" in answer.stdout


def test_an_idle_process_shows_no_changes(before: Surroundings) -> None:
    assert before.changes() == []


def test_a_running_child_is_found_and_ended(gate: Gate, before: Surroundings) -> None:
    pid = fork_and_run(gate.wait)
    [sentence] = before.changes()
    assert f"child {pid} is left behind (running" in sentence
    before.restore()
    assert pid not in children()


def test_the_children_of_a_child_are_ended_with_it(
    told: Told, gate: Gate, before: Surroundings
) -> None:
    """They come to us as orphans, after the first look around."""

    def have_a_child() -> None:
        told.say("grandchild", fork_and_run(gate.wait))
        gate.wait()

    child = fork_and_run(have_a_child)
    grandchild = int(told.wait_for(b"grandchild"))
    before.restore()
    assert state_of(child) == state_of(grandchild) == ""
    assert before.changes() == []


def test_a_zombie_is_found(before: Surroundings) -> None:
    pid = fork_and_run(lambda: None)
    assert peek_exit_code(pid) == 0
    assert before.changes() == [f"child {pid} is left behind (a zombie)"]
    kill_and_reap(pid)


def test_an_open_descriptor_is_found(before: Surroundings) -> None:
    with socket.socket() as left:
        [sentence] = before.changes()
        assert sentence.startswith(f"descriptor {left.fileno()} is still open (socket:")
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


def test_a_changed_wake_up_descriptor_is_found_and_put_back(before: Surroundings) -> None:
    with socket.socket() as bell:
        bell.setblocking(False)
        signal.set_wakeup_fd(bell.fileno())
        assert before.changes()[-1] == f"the signal wake-up descriptor is now {bell.fileno()}"
        before.restore()
    assert before.changes() == []


def test_what_goes_away_by_itself_is_no_leak(before: Surroundings) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    end.set()
    assert before.changes_that_stay() == []


def test_what_only_garbage_holds_is_no_leak(before: Surroundings) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.socket = socket.socket()
            self.cycle = self

    Cycle()
    assert before.changes_that_stay() == []
