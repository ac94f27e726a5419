"""`prefork tune`, made short."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prefork.cli.tune.pool_process import BEHIND_CLIENTS
from tests.cli.kit import HERE, Program, environment
from tests.support.children import children, children_of, reap_orphans
from tests.support.deadlines import HANG, stretched
from tests.support.polling import eventually

Start = Callable[..., Program]


@pytest.fixture
def tune(program: Start) -> Start:
    """`tune("Echo", ...)` measures something of `tests/cli/handlers.py`, not for long."""

    def start(name: str, *arguments: object, **variables: str) -> Program:
        few = ["--seconds", 1] if "--seconds" not in arguments else []
        few += ["--max-children", "1-3"] if "--max-children" not in arguments else []
        arguments = (f"handlers:{name}", "--app-dir", HERE, *few, *arguments)
        return program("tune", *arguments, **variables)

    return start


@pytest.mark.slow
def test_it_ends_with_a_table_a_chart_reasons_a_line_to_copy_and_files(
    tune: Start, folder: Path
) -> None:
    said = ["--request", r"hello\n", "--seconds", 3, "--max-children", "1,2,3"]
    run = tune("Echo", *said, "--output", "results")
    assert run.exit_code(HANG) == 0, run.out + run.err
    for words in ("CPU ms", "memory each", "█", "A request takes ", "Universal Scalability Law"):
        assert words in run.out
    assert "1 worker, 1 client\n1 worker\n" in run.out
    assert re.search(r"prefork serve handlers:Echo --app-dir \S+ --max-children \d", run.out)
    assert "Written to results/prefork-tune.json and results/prefork-tune.png." in run.out
    assert run.err == ""
    written = json.loads((folder / "results" / "prefork-tune.json").read_text())
    assert [size["workers"] for size in written["sizes"]] == [1, 2, 3]
    assert 0 < written["profile"]["cpu"] < 0.1
    assert written["profile"]["memory"] > 1 << 20
    assert written["advice"]["max_children"] in (1, 2, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("handler", "kind", "line"),
    [
        ("Echo", "unix", "--bind unix:///run/app.sock"),
        ("Upper", "udp", "--bind udp://127.0.0.1:9999"),
        ("Upper", "unixgram", "--bind unixgram:///run/app.sock"),
        ("Server", "tcp", "handlers:Server --app-dir"),
        ("OwnPool", "tcp", "handlers:OwnPool --app-dir"),
    ],
)
def test_other_kinds_of_servers(tune: Start, handler: str, kind: str, line: str) -> None:
    run = tune(handler, "--bind", kind, "--request", "x", "--max-children", "1,2")
    assert run.exit_code(HANG) == 0, run.out + run.err
    assert line in run.out
    assert run.err == ""


@pytest.mark.slow
def test_a_client_of_the_users_is_called(tune: Start) -> None:
    run = tune("Echo", "--client", "handlers:ask", "--target", "p99=10s", "--rate", 1)
    assert run.exit_code(HANG) == 0, run.out + run.err
    assert "(target: 10.0 s)" in " ".join(run.out.split())
    assert "--max-children 1 " in run.out


def test_memory_for_one_worker_is_said(tune: Start) -> None:
    run = tune("AsleepForAWhile", "--request", "x", "--memory", "100K")
    assert run.exit_code(HANG) == 0, run.out + run.err
    said = " ".join(run.out.split())
    assert re.search(r"Memory limits the pool to 1 worker \(\S+ MB each, 100 KB available\)", said)
    assert "If the handler is thread-safe, --threads " in said
    assert "--max-children 1 --backlog 128" in said


def test_a_handler_that_raises_is_told_with_its_traceback(tune: Start) -> None:
    run = tune("noisy", "--request", "x")
    assert run.exit_code(HANG) == 1
    assert run.err.startswith("The first request failed (1 worker):\n")
    assert run.err.count("Traceback") == 1
    assert run.err.endswith("ValueError: as the test wanted\n")
    assert run.out == ""


def test_a_handler_that_kills_its_worker_is_told(tune: Start) -> None:
    run = tune("die", "--request", "x")
    assert run.exit_code(HANG) == 1
    assert run.err.startswith("The first request failed (1 worker):\nWorker 0 (pid ")


def test_a_handler_that_fails_later_is_told_beside_the_figures(tune: Start) -> None:
    run = tune("Tires", "--request", "x")
    assert run.exit_code(HANG) == 1
    assert "Requests failed. The first failure:" in run.out
    assert run.out.count("ValueError: as the test wanted") == 1
    assert "Nothing to recommend: requests failed with every number of workers." in run.out


def test_a_handler_that_stops_its_server_is_told(tune: Start) -> None:
    run = tune("Bare", "--handler", "handlers:stop", "--request", "")
    assert run.exit_code(HANG) == 1
    assert "The server does not listen any more." in run.out + run.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["Ecko", "--request", "x"], "There is no 'Ecko' in module 'handlers'"),
        (["Echo", "--client", "handlers:aks"], "Did you mean 'ask'"),
        (["Server", "--bind", "udp", "--request", "x"], "handlers:Server is a server for tcp://"),
        (["Bare", "--request", "x"], "add --handler MODULE:HANDLER."),
        (["Broken", "--request", "x"], "cannot be constructed: LookupError: no licence"),
        (["CannotStart", "--request", "x"], "RuntimeError: there is no database"),
    ],
)
def test_what_cannot_be_had_is_refused(tune: Start, arguments: list[str], sentence: str) -> None:
    run = tune(*arguments)
    assert run.exit_code(HANG) == 2
    assert sentence in run.err
    assert run.err.startswith("prefork: ")


@pytest.mark.parametrize("closed", [">&- 2>&- <&-", "| true"])
def test_nobody_has_to_listen(modules: Path, folder: Path, closed: str) -> None:
    words = f"handlers:Echo --app-dir {HERE} --request x --max-children 1"
    command = f"{sys.executable} -m prefork tune {words} --seconds 0.5 --output . {closed}"
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment(modules),
        timeout=stretched(HANG),
        check=True,
    )
    assert json.loads((folder / "prefork-tune.json").read_text())["advice"]["max_children"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_sweep_that_is_interrupted(
    tune: Start, folder: Path, number: int
) -> None:
    run = tune("Echo", "--request", "x", "--seconds", 60, TMPDIR=str(folder))
    run.wait_for("1 worker, 1 client", "out")
    started = children_of(run.pid)
    eventually(lambda: any(map(children_of, started)))
    workers = {worker for pid in started for worker in children_of(pid)}
    behind = min(19, os.getpriority(os.PRIO_PROCESS, 0) + BEHIND_CLIENTS)
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in workers} == {behind}
    assert list(folder.iterdir())  # the log of the pool
    run.signal(number)
    assert run.exit_code() == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert run.out.endswith("Interrupted; every process of `prefork tune` has ended.\n")
    else:
        reap_orphans(*started)
    assert not children() & workers
    reap_orphans()
    assert "Traceback" not in run.err
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not list(folder.iterdir())
