"""What `prefork bench` says of each kind of server, and of handlers that fail."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from prefork.cli.bench.candidates import candidates_of
from prefork.cli.bench.command import Bench
from prefork.cli.bench.hosted_candidates import hosted
from prefork.cli.bench.server_process import BenchJob
from prefork.cli.measuring.parsing import ANY_PORT
from prefork.loadtest.drivers import drivers
from prefork.loadtest.protocol import Exchange
from tests.cli.kit import HERE, Finished
from tests.support.deadlines import HANG, stretched

Run = Callable[..., Finished]


@pytest.fixture
def bench(command: Run) -> Run:
    """`bench("Echo", ...)` measures something of `tests/cli/handlers.py`, not for long."""

    def run(name: str, *arguments: object) -> Finished:
        few = ["--seconds", 0.3] if "--seconds" not in arguments else []
        few += ["--max-children", 1]
        return command("bench", f"handlers:{name}", "--app-dir", HERE, *few, *arguments)

    return run


@pytest.mark.parametrize(
    ("handler", "kind", "references"),
    [
        ("Echo", "unix", "ForkingUnixStreamServer"),
        ("Upper", "udp", "ThreadingUDPServer"),
        ("Upper", "unixgram", "ForkingUnixDatagramServer"),
        ("Echo", "tcp://[::1]:0", "ThreadingTCPServer"),
    ],
)
def test_other_kinds_of_servers(bench: Run, handler: str, kind: str, references: str) -> None:
    said = bench(handler, "--bind", kind, "--request", "x", "--strategies", "accept,reuseport,fork")
    assert said.code == 0, said
    assert references in said.out
    left_out = "reuseport is left out: it needs a TCP or UDP port." in said.words
    assert left_out == kind.startswith("unix")
    assert said.err == ""


@pytest.mark.parametrize("target", ["Server", "OwnPool"])
def test_a_server_class_is_served_by_that_class(bench: Run, target: str) -> None:
    said = bench(target, "--client", "handlers:ask", "--strategies", "accept", "--clients", 2)
    assert said.code == 0, said
    assert re.search(r"accept +1 +[\d.,]+ ", said.out)
    assert "ForkingTCPServer" not in said.out


def test_a_client_that_raises_is_reported_with_its_traceback(bench: Run) -> None:
    client = ["--client", "handlers:ask_in_vain", "--clients", 1]
    said = bench("Echo", *client, "--strategies", "accept")
    assert said.code == 1
    first = "on standard output\nThe first request failed (accept with 1 worker)"
    assert said.err.startswith(first)
    assert said.err.count("Traceback") == 1
    assert said.err.endswith("LookupError: nobody is pleased with the answer\n")


def test_a_handler_that_raises_is_reported_with_its_traceback(bench: Run) -> None:
    said = bench("noisy", "--request", "x")
    assert said.code == 1
    assert said.err.count("Traceback") == 1
    assert "in noisy\n" in said.err
    assert "/socketserver" not in said.err
    assert said.err.endswith("ValueError: as the test wanted\n")
    assert said.out == ""


def test_a_handler_that_fails_later_is_reported_once_beside_the_figures(bench: Run) -> None:
    seconds = ["--seconds", stretched(1)]  # enough for a trial of each server
    said = bench("Tires", "--request", "x", "--strategies", "accept,fork", *seconds)
    assert said.code == 1
    assert "Requests failed: accept with 1 worker, and 1 other." in said.out
    assert said.out.count("ValueError: as the test wanted") == 1
    assert re.search(r"Use fork with 1 worker", said.out), said.out


def test_a_handler_that_kills_its_worker_is_reported(bench: Run) -> None:
    said = bench("die", "--request", "x", "--strategies", "accept")
    assert said.code == 1
    assert said.err.startswith("The first request failed (accept with 1 worker):\nWorker 0 (pid ")
    assert "exited with code 3 while serving" in said.err


def test_a_request_that_is_not_read_is_reported(bench: Run, folder: Path) -> None:
    (folder / "request").write_bytes(bytes(1 << 24))  # more than buffers hold
    said = bench("deaf", "--request", "request")
    assert said.code == 1
    assert "the handler may have closed it before reading all of the request." in said.err


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_empty_answer_is_an_answer_if_the_first_is_empty_too(bench: Run, kind: str) -> None:
    alone = ["--bind", kind, "--strategies", "accept", "--clients", 1]
    said = bench("deaf", "--request", "", *alone)
    assert said.code == 0, said
    assert "The answer to this request is empty" in said.words


def test_a_handler_that_stops_its_server_is_reported(bench: Run) -> None:
    said = bench("Bare", "--handler", "handlers:stop", "--request", "", "--strategies", "accept")
    assert said.code == 1
    # The client that waits when the listener is closed is reset.
    assert re.search("The server is no longer listening|The connection was reset", str(said))


@pytest.mark.usefixtures("reaps_orphans")
def test_a_reference_that_cannot_serve_the_handler_is_left_out() -> None:
    candidates, _ = candidates_of(["accept"], [1], "tcp")
    notes: list[str] = []
    job = BenchJob("handlers:PoolOnly", None, str(HERE), ANY_PORT, candidates)
    with drivers(1) as load, hosted(job) as servers:
        bench = Bench(Console(), load, servers, Exchange(b"x"), 1, own_client=False, notes=notes)
        bench.try_each(stretched(HANG))
        assert [server.title for server in servers] == ["accept with 1 worker"]
    assert notes == [
        f"{name} is left out: its first request failed."
        for name in ("ForkingTCPServer", "ThreadingTCPServer")
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["Ecko", "--request", "x"], "There is no 'Ecko' in module 'handlers'"),
        (["Echo", "--client", "handlers:aks"], "Did you mean 'ask'"),
        (["Echo", "--client", "handlers:not_callable"], "is not callable: it is of type str."),
        (["Server", "--bind", "udp", "--request", "x"], "handlers:Server is a server for tcp://"),
        (
            ["Echo", "--request", "x", "--bind", "unix", "--strategies", "reuseport"],
            "Nothing is left to compare: reuseport needs a TCP or UDP port.",
        ),
    ],
)
def test_a_target_that_cannot_be_served_is_refused(
    bench: Run, arguments: list[str], sentence: str
) -> None:
    said = bench(*arguments, "--clients", 1)
    assert said.code == 2
    assert sentence in said.err
    assert said.err.startswith("prefork: ")
    assert "Traceback" not in said.err
