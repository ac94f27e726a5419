"""`prefork tune` as a program: what it prints and writes, and how it ends."""

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


@pytest.mark.slow
def test_it_ends_with_a_table_a_chart_reasons_a_line_to_copy_and_files(
    program: Start, folder: Path
) -> None:
    said = ["--request", r"hello\n", "--seconds", 1.5, "--max-children", "1,2,3"]
    run = program(
        "tune", "handlers:AsleepForAWhile", "--app-dir", HERE, *said, "--output", "results"
    )
    assert run.exit_code(HANG) == 0, run.out + run.err
    for words in ("CPU ms", "memory each", "█", "A request takes ", "Universal Scalability Law"):
        assert words in run.out
    assert "1 worker, 1 client\n1 worker\n" in run.out
    line = r"prefork serve handlers:AsleepForAWhile --app-dir \S+ --max-children \d"
    assert re.search(line, run.out)
    assert "Written to results/prefork-tune.json and results/prefork-tune.png." in run.out
    assert run.err == ""
    written = json.loads((folder / "results" / "prefork-tune.json").read_text())
    assert [size["workers"] for size in written["sizes"]] == [1, 2, 3]
    assert 0 < written["profile"]["cpu"] < 0.1
    assert written["profile"]["memory"] > 1 << 20
    assert written["advice"]["max_children"] in (1, 2, 3)


def test_closed_standard_streams_do_not_matter(modules: Path, folder: Path) -> None:
    words = f"handlers:AsleepForAWhile --app-dir {HERE} --request x --max-children 1"
    command = f"{sys.executable} -m prefork tune {words} --seconds 0.3 --output ."
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} 2>&- <&- | true"],
        cwd=folder,
        env=environment(modules),
        timeout=stretched(HANG),
        check=True,
    )
    assert json.loads((folder / "prefork-tune.json").read_text())["advice"]["max_children"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_sweep_that_is_interrupted(
    program: Start, folder: Path, number: int
) -> None:
    said = ["--request", "x", "--seconds", 60, "--max-children", "1-3"]
    run = program("tune", "handlers:Echo", "--app-dir", HERE, *said, TMPDIR=str(folder))
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
