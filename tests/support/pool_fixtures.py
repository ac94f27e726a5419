"""Fixtures for tests of the pool; `tests/conftest.py` registers them."""

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prefork.policies import promotion
from tests.support.announcements import Gate, Told
from tests.support.deadlines import HANG, stretched
from tests.support.fake_system import FakePool, MakePool
from tests.support.pools import Handler, messages


@pytest.fixture(params=["accept", "fork", "handoff", "reuseport"])
def strategy(request: pytest.FixtureRequest) -> str:
    """The name of a strategy; the test runs once for each."""
    name: str = request.param
    if name == "reuseport" and request.node.get_closest_marker("one_queue"):
        pytest.skip("each worker has a queue of its own")
    return name


@pytest.fixture
def pool_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePool]:
    """Makes masters on a fake system with that number of cores."""
    pools: list[FakePool] = []

    def make(cores: int = 8) -> FakePool:
        pools.append(FakePool(monkeypatch, cores))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def pool(pool_of: MakePool) -> FakePool:
    return pool_of()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `mold`, the next generation follows at once."""
    monkeypatch.setattr(promotion, "LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(promotion, "BACK_OFF", 0.05)


@pytest.fixture
def held(told: Told, gate: Gate) -> Handler:
    """A handler that announces "entered PID", waits at the gate and echoes what it receives."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered", os.getpid())
        gate.wait()
        request.sendall(b"served " + request.recv(100))

    return handler


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """A function that returns the errors that were logged since its last call.

    The test expects the errors that it takes; any other logged error fails it.
    """
    taken = 0

    def take() -> list[str]:
        nonlocal taken
        logged = messages(caplog.get_records("call"), logging.ERROR)
        new = logged[taken:]
        taken = len(logged)
        return new

    yield take
    assert take() == [], "unexpected errors in the log"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate and its key, made by the openssl program."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("making a certificate needs the program openssl")
    folder = tmp_path_factory.mktemp("tls")
    names = str(folder / "cert.pem"), str(folder / "key.pem")
    command = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -out {names[0]}"
    command += f" -keyout {names[1]} -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [openssl, *command.split()], check=True, capture_output=True, timeout=stretched(HANG)
    )
    return names
