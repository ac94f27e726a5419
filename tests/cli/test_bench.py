"""`prefork bench` as a program: what it prints and writes, and how it ends."""

import json
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


@pytest.mark.slow
def test_it_ends_with_a_table_a_chart_a_sentence_and_files(program: Start, folder: Path) -> None:
    said = ["--request", r"hello\n", "--clients", 3, "--output", "results"]
    said += ["--max-children", 1, "--seconds", stretched(2)]  # enough for two rounds
    run = program("bench", "handlers:AsleepForAWhile", "--app-dir", HERE, *said)
    assert run.exit_code(HANG) == 0, run.out + run.err
    for words in ("accept-lifo", "fork-ahead", "ForkingTCPServer", "CPU ms", "█", "Use "):
        assert words in run.out
    assert "The request: 'hello\\n'." in " ".join(run.out.split())
    assert "Round 2 of " in run.out
    assert "Written to results/prefork-bench.json and results/prefork-bench.png." in run.out
    assert run.err == ""
    said_in_file = json.loads((folder / "results" / "prefork-bench.json").read_text())
    results = said_in_file["results"]
    assert len(results) == 6 + 2
    assert all(result["requests"] and not result["failures"] for result in results)
    assert said_in_file["request"] == "hello\n"
    assert said_in_file["advice"].startswith("Use ")


@pytest.mark.parametrize("closed", [">&- 2>&- <&-", "| true"])
def test_closed_standard_streams_do_not_matter(modules: Path, folder: Path, closed: str) -> None:
    words = f"handlers:Server --app-dir {HERE} --request x --strategies accept --max-children 1"
    command = f"{sys.executable} -m prefork bench {words} --seconds 0.2 --output . {closed}"
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment(modules),
        timeout=stretched(HANG),
        check=True,
    )
    # On a busy machine no request may be answered in this time.
    assert json.loads((folder / "prefork-bench.json").read_text())["results"][0]["candidate"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_bench_that_is_interrupted(
    program: Start, folder: Path, number: int
) -> None:
    said = ["--request", "x", "--seconds", 60, "--max-children", 2]
    run = program("bench", "handlers:Echo", "--app-dir", HERE, *said, TMPDIR=str(folder))
    run.wait_for("Round 1 of", "out")
    started = children_of(run.pid)
    servers = max(started, key=lambda pid: len(children_of(pid)))
    masters = children_of(servers)
    eventually(lambda: all(map(children_of, masters)) or len(masters) == 8)
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
