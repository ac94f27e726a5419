"""Fixtures of the tests with real workers."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pool.kit import ROOT, Handler, messages
from tests.support.announcements import Gate, Told


@pytest.fixture(params=["accept", "fork", "handoff"])
def strategy(request: pytest.FixtureRequest) -> str:
    """The name of each strategy, one after the other."""
    name: str = request.param
    return name


@pytest.fixture
def held(told: Told, gate: Gate) -> Handler:
    """A handler that says "entered PID", waits at the gate, and answers with what it was sent."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered", os.getpid())
        gate.wait()
        request.sendall(b"served " + request.recv(100))

    return handler


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What the master has logged as an error until now; taking it says that it was expected.

    What nobody took fails the test.
    """
    taken = 0

    def take() -> list[str]:
        nonlocal taken
        everything = messages(caplog.get_records("call"), logging.ERROR)
        news = everything[taken:]
        taken = len(everything)
        return news

    yield take
    assert take() == [], "errors in the log that nobody expected"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder from which `prefork` is imported as if installed.

    There `socketserver` is the standard library's.
    """
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "prefork").symlink_to(ROOT / "prefork")
    return folder
