"""`api`: the module under test, the standard library's first, then ours."""

import importlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from prefork.cli.target.standard_library import standard_library
from tests.documented.kit import Record
from tests.support.announcements import Gate, Told


@pytest.fixture(params=["stdlib", "ours"])
def side(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def api(side: str) -> Any:
    """The module under test."""
    if side == "stdlib":
        return standard_library()
    return importlib.import_module("prefork.socketserver")


@pytest.fixture
def improved(side: str) -> bool:
    """Whether the module under test has the improvements over the standard library's."""
    return side == "ours"


@pytest.fixture
def record() -> Record:
    """The calls in this process, in order."""
    return Record()


@pytest.fixture
def held(told: Told, gate: Gate) -> Any:
    """A request handler that announces where it runs, waits at the gate, and announces its end."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered", os.getpid(), threading.current_thread().name)
        gate.wait()
        told.say("done")

    return handler


@pytest.fixture
def default_timeout_restored() -> Iterator[None]:
    """Restore the default time-out of new sockets when the test ends."""
    before = socket.getdefaulttimeout()
    yield
    socket.setdefaulttimeout(before)
