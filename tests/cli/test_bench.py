"""`prefork bench`, made short."""

import json
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefork.loadtest.processes import child
from tests.cli.kit import HERE, Program, environment
from tests.support.children import children, children_of, reap_orphans
from tests.support.deadlines import HANG, stretched
from tests.support.polling import eventually

Start = Callable[..., Program]


@pytest.fixture
def bench(program: Start) -> Start:
    """`bench("Echo", ...)` measures something of `tests/cli/handlers.py`, not for long."""

    def start(name: str, *arguments: object, **variables: str) -> Program:
        few = ["--seconds", 0.5] if "--seconds" not in arguments else []
        few += ["--max-children", "1,2"] if "--max-children" not in arguments else []
        arguments = (f"handlers:{name}", "--app-dir", HERE, *few, *arguments)
        return program("bench", *arguments, **variables)

    return start


@pytest.mark.slow
def test_it_ends_with_a_table_a_chart_a_sentence_and_files(bench: Start, folder: Path) -> None:
    said = ["--request", r"hello\n", "--clients", 3, "--output", "results"]
    said += ["--seconds", stretched(4)]  # enough for two rounds
    run = bench("Echo", *said)
    assert run.exit_code(HANG) == 0, run.out + run.err
    for words in ("accept-lifo", "fork-ahead", "ForkingTCPServer", "CPU ms", "█", "Use "):
        assert words in run.out
    assert "The request: 'hello\\n'." in " ".join(run.out.split())
    assert "Round 2 of " in run.out
    assert "Written to results/prefork-bench.json and results/prefork-bench.png." in run.out
    assert run.err == ""
    said_in_file = json.loads((folder / "results" / "prefork-bench.json").read_text())
    results = said_in_file["results"]
    assert len(results) == 6 * 2 + 2
    assert all(result["requests"] and not result["failures"] for result in results)
    assert said_in_file["request"] == "hello\n"
    assert said_in_file["advice"].startswith("Use ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("handler", "kind", "references"),
    [
        ("Echo", "unix", "ForkingUnixStreamServer"),
        ("Upper", "udp", "ThreadingUDPServer"),
        ("Upper", "unixgram", "ForkingUnixDatagramServer"),
        ("Echo", "tcp://[::1]:0", "ThreadingTCPServer"),
    ],
)
def test_other_kinds_of_servers(bench: Start, handler: str, kind: str, references: str) -> None:
    run = bench(handler, "--bind", kind, "--request", "x", "--strategies", "accept,reuseport,fork")
    assert run.exit_code(HANG) == 0, run.out + run.err
    assert references in run.out
    left_out = "reuseport is left out: it needs a TCP or UDP port." in " ".join(run.out.split())
    assert left_out == kind.startswith("unix")
    assert run.err == ""


@pytest.mark.parametrize("target", ["Server", "OwnPool"])
def test_a_server_class_is_served_by_that_class(bench: Start, target: str) -> None:
    run = bench(target, "--client", "handlers:ask", "--strategies", "accept", "--clients", 2)
    assert run.exit_code(HANG) == 0, run.out + run.err
    assert re.search(r"accept +1 +[\d.,]+ ", run.out)
    assert "ForkingTCPServer" not in run.out


def test_a_client_that_raises_is_reported_with_its_traceback(bench: Start) -> None:
    run = bench("Echo", "--client", "handlers:ask_in_vain", "--strategies", "accept")
    assert run.exit_code(HANG) == 1
    assert run.err.startswith("on standard output\nThe first request failed (accept with 1 worker)")
    assert run.err.count("Traceback") == 1
    assert run.err.endswith("LookupError: nobody is pleased with the answer\n")


def test_a_handler_that_raises_is_reported_with_its_traceback(bench: Start) -> None:
    run = bench("noisy", "--request", "x")
    assert run.exit_code(HANG) == 1
    assert run.err.count("Traceback") == 1
    assert "in noisy\n" in run.err
    assert "/socketserver" not in run.err
    assert run.err.endswith("ValueError: as the test wanted\n")
    assert run.out == ""


def test_a_handler_that_fails_later_is_reported_once_beside_the_figures(bench: Start) -> None:
    run = bench("Tires", "--request", "x", "--strategies", "accept,fork")
    assert run.exit_code(HANG) == 1
    assert "Requests failed: accept with 1 worker, and " in run.out
    assert run.out.count("ValueError: as the test wanted") == 1
    assert re.search(r"Use fork with \d worker", run.out), run.out


def test_a_handler_that_kills_its_worker_is_reported(bench: Start) -> None:
    run = bench("die", "--request", "x", "--strategies", "accept")
    assert run.exit_code(HANG) == 1
    assert run.err.startswith("The first request failed (accept with 1 worker):\nWorker 0 (pid ")
    assert "exited with code 3 while serving" in run.err


def test_a_request_that_is_not_read_is_reported(bench: Start, folder: Path) -> None:
    (folder / "request").write_bytes(bytes(1 << 24))  # more than buffers hold
    run = bench("deaf", "--request", "request")
    assert run.exit_code(HANG) == 1
    assert "the handler may have closed it before reading all of the request." in run.err


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_empty_answer_is_an_answer_if_the_first_is_empty_too(bench: Start, kind: str) -> None:
    said = ["--bind", kind, "--strategies", "accept", "--clients", 1]
    run = bench("deaf", "--request", "", *said)
    assert run.exit_code(HANG) == 0, run.out + run.err
    assert "The answer to this request is empty" in " ".join(run.out.split())


def test_a_handler_that_stops_its_server_is_reported(bench: Start) -> None:
    run = bench("Bare", "--handler", "handlers:stop", "--request", "", "--strategies", "accept")
    assert run.exit_code(HANG) == 1
    assert "The server does not listen any more." in run.out + run.err


def test_a_reference_that_cannot_serve_the_handler_is_left_out(bench: Start) -> None:
    run = bench("PoolOnly", "--request", "x", "--strategies", "accept", "--seconds", 4)
    assert run.exit_code(HANG) == 0, run.out + run.err
    for name in ("ForkingTCPServer", "ThreadingTCPServer"):
        assert run.out.count(name) == 1
        assert f"{name} is left out: its first request failed." in " ".join(run.out.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["Ecko", "--request", "x"], "There is no 'Ecko' in module 'handlers'"),
        (["Echo", "--client", "handlers:aks"], "Did you mean 'ask'"),
        (["Echo", "--client", "handlers:not_callable"], "is not callable: it is of type str."),
        (["Server", "--bind", "udp", "--request", "x"], "handlers:Server is a server for tcp://"),
        (["Bare", "--request", "x"], "add --handler MODULE:HANDLER."),
        (["Broken", "--request", "x"], "cannot be constructed: LookupError: no licence"),
        (
            ["Echo", "--request", "x", "--bind", "unix", "--strategies", "reuseport"],
            "Nothing is left to compare: reuseport needs a TCP or UDP port.",
        ),
    ],
)
def test_a_target_that_cannot_be_served_is_refused(
    bench: Start, arguments: list[str], sentence: str
) -> None:
    run = bench(*arguments, "--max-children", 1)
    assert run.exit_code(HANG) == 2
    assert sentence in run.err
    assert run.err.startswith("prefork: ")
    assert "Traceback" not in run.err


@pytest.mark.parametrize("closed", [">&- 2>&- <&-", "| true"])
def test_closed_standard_streams_do_not_matter(modules: Path, folder: Path, closed: str) -> None:
    words = f"handlers:Echo --app-dir {HERE} --request x --strategies accept --max-children 1"
    command = f"{sys.executable} -m prefork bench {words} --seconds 0.5 --output . {closed}"
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment(modules),
        timeout=stretched(HANG),
        check=True,
    )
    assert json.loads((folder / "prefork-bench.json").read_text())["results"][0]["requests"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_bench_that_is_interrupted(
    bench: Start, folder: Path, number: int
) -> None:
    run = bench("Echo", "--request", "x", "--seconds", 60, TMPDIR=str(folder))
    run.wait_for("Round 1 of", "out")
    started = children_of(run.pid)
    servers = max(started, key=lambda pid: len(children_of(pid)))
    masters = children_of(servers)
    eventually(lambda: all(map(children_of, masters)) or len(masters) == 14)
    assert list(folder.iterdir())  # logs of the servers
    run.signal(number)
    assert run.exit_code() == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert run.out.endswith("Interrupted; every process of `prefork bench` has ended.\n")
    else:
        reap_orphans(*started)
    assert not children() & masters
    reap_orphans()
    assert "Traceback" not in run.err
    assert not any(Path(f"/proc/{pid}").exists() for pid in masters)
    assert not list(folder.iterdir())


def test_ctrl_c_does_not_interrupt_the_wait_for_a_child_that_exits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait, waits = select.select, []

    def interrupted_at_first(*arguments: Any) -> Any:
        waits.append(arguments)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return wait(*arguments)

    monkeypatch.setattr(select, "select", interrupted_at_first)
    with child("prefork.loadtest.clients") as process:
        pass
    assert len(waits) == 2
    assert process.returncode == 0
