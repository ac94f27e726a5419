"""What `prefork tune` says of each kind of server, and of handlers that fail."""

import re
from collections.abc import Callable

import pytest

from prefork.advice import forecast
from prefork.cli.addresses import Address
from prefork.cli.measuring.jobs import Job
from prefork.cli.measuring.parsing import bind_of
from prefork.cli.tune.hosted_pool import pool_of
from prefork.loadtest.drivers import drivers
from prefork.loadtest.protocol import Exchange
from tests.cli.kit import HERE, Finished

Tune = Callable[..., Finished]


@pytest.fixture
def tune(command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> Tune:
    """`tune("Echo", ...)` measures something of `tests/cli/handlers.py`, not for long."""
    monkeypatch.setattr(forecast, "REQUESTS", 2000)

    def run(name: str, *arguments: object) -> Finished:
        few = ["--seconds", 0.5, "--max-children", "1,2"]
        return command("tune", f"handlers:{name}", "--app-dir", HERE, *few, *arguments)

    return run


@pytest.mark.usefixtures("reaps_orphans")
@pytest.mark.parametrize(
    ("handler", "address"),
    [
        ("Echo", bind_of("unix")),
        ("Upper", bind_of("udp")),
        ("Upper", bind_of("unixgram")),
        ("Server", bind_of("tcp")),
        ("OwnPool", bind_of("tcp")),
    ],
)
def test_a_pool_of_each_kind_of_server_grows_and_answers(handler: str, address: Address) -> None:
    exchange = Exchange(b"x", datagrams=not address.is_stream)
    with drivers(1) as load, pool_of(Job(f"handlers:{handler}", None, str(HERE), address)) as pool:
        for workers in (1, 2):
            pool.resize(workers)
            assert pool.first_request(load, exchange, own_client=False).received


def test_a_client_of_the_users_is_called(tune: Tune) -> None:
    said = tune("Echo", "--client", "handlers:ask", "--target", "p99=10s", "--rate", 1)
    assert said.code == 0, said
    assert "(target: 10.0 s)" in said.words
    assert "--max-children 1 " in said.out


def test_memory_for_one_worker_limits_the_advice(tune: Tune) -> None:
    said = tune("AsleepForAWhile", "--request", "x", "--memory", "100K")
    assert said.code == 0, said
    sentence = r"Memory limits the pool to 1 worker \(\S+ MB each, 100 KB available\)"
    assert re.search(sentence, said.words)
    assert "If the handler is thread-safe, --threads " in said.words
    assert "--max-children 1 --backlog 128" in said.words


def test_a_handler_that_raises_is_reported_with_its_traceback(tune: Tune) -> None:
    said = tune("noisy", "--request", "x")
    assert said.code == 1
    assert said.err.startswith("The first request failed (1 worker):\n")
    assert said.err.count("Traceback") == 1
    assert said.err.endswith("ValueError: as the test wanted\n")
    assert said.out == ""


def test_a_handler_that_kills_its_worker_is_reported(tune: Tune) -> None:
    said = tune("die", "--request", "x")
    assert said.code == 1
    assert said.err.startswith("The first request failed (1 worker):\nWorker 0 (pid ")


def test_a_handler_that_fails_later_is_reported_beside_the_figures(tune: Tune) -> None:
    said = tune("Tires", "--request", "x")
    assert said.code == 1
    assert "Requests failed. The first failure:" in said.out
    assert said.out.count("ValueError: as the test wanted") == 1
    assert "Nothing to recommend: requests failed with every number of workers." in said.out


def test_a_handler_that_stops_its_server_is_reported(tune: Tune) -> None:
    said = tune("Bare", "--handler", "handlers:stop", "--request", "")
    assert said.code == 1
    # The client that waits when the listener is closed is reset.
    assert re.search("The server is no longer listening|The connection was reset", str(said))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["Bare", "--request", "x"], "add --handler MODULE:HANDLER."),
        (["Broken", "--request", "x"], "cannot be constructed: LookupError: no licence"),
        (["CannotStart", "--request", "x"], "RuntimeError: there is no database"),
    ],
)
def test_a_target_that_cannot_be_served_is_refused(
    tune: Tune, arguments: list[str], sentence: str
) -> None:
    said = tune(*arguments)
    assert said.code == 2
    assert sentence in said.err
    assert said.err.startswith("prefork: ")
