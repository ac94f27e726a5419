"""Fixtures for every test; most of what they return is defined in `tests.support`."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import setproctitle

from tests.support.announcements import Gate, Told
from tests.support.checkout import as_if_installed
from tests.support.children import become_subreaper, kill_and_reap
from tests.support.deadlines import WHOLE_TEST, Deadline, stretched
from tests.support.leaks import Surroundings, describe

# pytest finds fixtures by their names in this module.
from tests.support.pool_fixtures import certificate as certificate
from tests.support.pool_fixtures import errors as errors
from tests.support.pool_fixtures import held as held
from tests.support.pool_fixtures import no_pauses as no_pauses
from tests.support.pool_fixtures import pool as pool
from tests.support.pool_fixtures import pool_of as pool_of
from tests.support.pool_fixtures import strategy as strategy
from tests.support.serving import POLL_INTERVAL, end_loops_left_behind, serving

# The first call finds the memory of the process title. It must come before any change of the
# environment, which lies behind the title.
setproctitle.getproctitle()

# Otherwise numpy, which the plots load, starts a thread for each core. A pool does not fork workers
# from a process with threads, so no test would see a master that forks its workers itself.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# A shell starts a background job with SIGINT ignored, and the programs that the tests start would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

Running = Callable[..., contextlib.AbstractContextManager[Any]]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stretch the time limit of one test (pytest-timeout) like the other deadlines."""
    marker = item.get_closest_marker("timeout")
    limit = marker.args[0] if marker else WHOLE_TEST
    item.add_marker(pytest.mark.timeout(stretched(limit)), append=False)
    return (yield)


@pytest.fixture(scope="session", autouse=True)
def adopts_orphans() -> None:
    """Make this process a subreaper, so that the leak check sees orphaned grandchildren."""
    become_subreaper()


_begun: list[tuple[int, pytest.Item]] = []
"""The tests so far, each with the time of its start in clock ticks since the boot."""


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request: pytest.FixtureRequest, adopts_orphans: None) -> Iterator[None]:
    """Fail the test that leaves a child, descriptor, thread or signal setting behind."""
    before = Surroundings.now()
    _begun.append((before.since, request.node))
    yield
    changes = before.changes_that_stay()
    for pid, forked in before.latecomers().items():
        blame(forked, f"child {pid} was left behind ({describe(pid)}) and was found later")
        kill_and_reap(pid)
    if changes:
        end_loops_left_behind()
        before.restore()
        pytest.fail("the test leaves something behind: " + "; ".join(changes), pytrace=False)


def blame(forked: int, sentence: str) -> None:
    """Report what an earlier test left behind as a failure of the test that forked it."""

    def fail() -> None:
        pytest.fail(f"the test leaves something behind: {sentence}", pytrace=False)

    item = next(item for since, item in reversed(_begun) if since <= forked or item is _begun[0][1])
    call = pytest.CallInfo.from_call(fail, "teardown")
    item.ihook.pytest_runtest_logreport(report=pytest.TestReport.from_item_and_call(item, call))


@pytest.fixture
def deadline() -> Deadline:
    """One time limit for all waits of a test: ``deadline.remaining()``."""
    return Deadline()


@pytest.fixture
def told() -> Iterator[Told]:
    """Announcements from handlers and workers in any thread or process."""
    announcements = Told()
    yield announcements
    announcements.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate for handlers to wait at; it opens permanently when the test ends."""
    barrier = Gate()
    yield barrier
    barrier.open()
    barrier.close()


@pytest.fixture
def running(gate: Gate) -> Running:
    """``with running(server):`` serves in a thread; its end opens the gate, stops and closes."""

    def run(
        server: Any, poll_interval: float | None = POLL_INTERVAL
    ) -> contextlib.AbstractContextManager[Any]:
        return serving(server, poll_interval, release=gate.open)

    return run


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder from which `prefork` is imported as if installed.

    There `socketserver` is the standard library's.
    """
    return as_if_installed(tmp_path)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for Unix sockets: their paths must stay below 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="pf") as folder:
        yield Path(folder)
