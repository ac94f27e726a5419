"""Runs the tests in several processes at once: most of a test's time is spent waiting.

Each process runs pytest on one file after another (`tests/support/file_runner.py`); the files that
take longest start first. With options for pytest, a single pytest runs instead.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
COSTS = Path("tests/support/costs.json")
"""The seconds of each file when nothing else runs, and its seconds of CPU; see `--measure`."""

UNKNOWN = (2.0, 1.0)

CORES = len(os.sched_getaffinity(0))

PROCESSES = 3 * CORES

QUICK = 1.0
"""The seconds of CPU that a file may take to count as quick (`--fast`)."""

PROGRESS = 10.0
"""Seconds between two lines of progress."""


@dataclass
class Outcome:
    """The results of the tests so far."""

    passed: int = 0
    skipped: int = 0
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    """Failures and errors: the kind, the test, the report."""
    reasons: Counter[str] = field(default_factory=Counter)
    costs: dict[str, tuple[float, float]] = field(default_factory=dict)
    tests: Counter[str] = field(default_factory=Counter)
    """The seconds of each test."""

    def note(self, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind == "passed":
            self.passed += 1
        elif kind == "skipped":
            self.skipped += 1
            self.reasons[message["text"]] += 1
        elif kind in ("failed", "error"):
            self.bad.append((kind.upper(), message["test"], message["text"]))
        elif kind == "lasted":
            self.tests[message["test"]] += message["seconds"]
        else:
            self.costs[message["file"]] = round(message["seconds"], 1), round(message["cpu"], 1)

    @property
    def sentence(self) -> str:
        failed = sum(kind == "FAILED" for kind, _, _ in self.bad)
        errors = len(self.bad) - failed
        return f"{failed} failed, {self.passed} passed, {self.skipped} skipped, {errors} errors"


class Runner:
    """A process that runs one file after another."""

    def __init__(self, options: Sequence[str], log: IO[bytes]) -> None:
        self.reader, writer = os.pipe()
        command = [sys.executable, "-m", "tests.support.file_runner", str(writer), *options]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[writer]
        )
        os.close(writer)
        self.file = ""
        self._text = b""

    def fileno(self) -> int:
        return self.reader

    def run(self, file: str) -> None:
        """Run this file next; with an empty name, exit."""
        self.file = file
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; receive() reports that
            self.process.stdin.write(f"{file}\n".encode())
            self.process.stdin.flush()

    def receive(self) -> list[dict[str, Any]] | None:
        """Return its messages; `None` when it has ended."""
        data = os.read(self.reader, 1 << 16)
        if not data:
            return None
        *lines, self._text = (self._text + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        os.close(self.reader)
        self.process.communicate()


class Run:
    """A run of some files."""

    def __init__(self, files: list[str], options: Sequence[str], log: IO[bytes]) -> None:
        self.outcome = Outcome()
        self._files = files
        self._total = len(files)
        self._options = options
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._began = self._shown = time.monotonic()

    def go(self, processes: int) -> None:
        for _ in range(min(processes, self._total)):
            self._start()
        while self._selector.get_map():
            for key, _ in self._selector.select():
                self._receive(key.data)
            if time.monotonic() > self._shown + PROGRESS:
                self._show()

    def _start(self) -> None:
        runner = Runner(self._options, self._log)
        self._selector.register(runner, selectors.EVENT_READ, runner)
        runner.run(self._files.pop(0))

    def _receive(self, runner: Runner) -> None:
        messages = runner.receive()
        if messages is None:
            self._selector.unregister(runner)
            runner.close()
            if runner.file:
                self._note_crash(runner)
                if self._files:
                    self._start()
            return
        for message in messages:
            self.outcome.note(message)
            if message["kind"] == "done":
                runner.run(self._files.pop(0) if self._files else "")

    def _note_crash(self, runner: Runner) -> None:
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), 4000, max(0, size - 4000)).decode(errors="replace")
        why = f"The process that ran it exited with {runner.process.returncode}.\n{text}"
        self.outcome.bad.append(("ERROR", runner.file, why))

    def _show(self) -> None:
        self._shown = time.monotonic()
        done = f"{len(self.outcome.costs)} of {self._total} files"
        print(f"{self._shown - self._began:4.0f} s: {done}, {self.outcome.sentence}", flush=True)


def known_costs() -> dict[str, tuple[float, float]]:
    known = json.loads((ROOT / COSTS).read_text())
    return {file: (seconds, cpu) for file, (seconds, cpu) in known.items()}


def files_of(fast: bool) -> list[str]:
    """Return all test files, or the quick ones; those that take longest come first."""
    costs = known_costs()
    found = (str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))
    chosen = [file for file in found if not fast or costs.get(file, UNKNOWN)[1] <= QUICK]
    return sorted(chosen, key=lambda file: (-costs.get(file, UNKNOWN)[0], file))


def expected(files: Sequence[str], processes: int) -> float:
    """Estimate the seconds that these files take on a quiet machine."""
    costs = [known_costs().get(file, UNKNOWN) for file in files]
    seconds = sum(cost[0] for cost in costs) / processes
    cpu = sum(cost[1] for cost in costs) / CORES
    return max(seconds, 1.1 * cpu, costs[0][0])


def report(outcome: Outcome, slowest: int, seconds: float) -> None:
    for kind, test, text in outcome.bad:
        print(f"\n===== {kind} {test}\n{text}")
    for text, count in sorted(outcome.reasons.items()):
        print(f"SKIPPED [{count}] {text}")
    for test, lasted in outcome.tests.most_common(slowest):
        print(f"{lasted:6.2f} s  {test}")
    for kind, test, _ in outcome.bad:
        print(f"{kind} {test}")
    print(f"===== {outcome.sentence} in {seconds:.0f} s =====")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the tests; other options are pytest's.")
    parser.add_argument("--fast", action="store_true", help="run only the quick tests")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="how many to use at once")
    parser.add_argument("--measure", action="store_true", help=f"write the costs to {COSTS}")
    parser.add_argument("--slowest", type=int, default=0, help="how many slow tests to list")
    chosen, options = parser.parse_known_args(arguments)
    if options:
        return subprocess.call([sys.executable, "-m", "pytest", *options], cwd=ROOT)
    files = files_of(chosen.fast)
    about = f"about {expected(files, chosen.processes):.0f} s on a quiet machine"
    print(f"{len(files)} test files in {chosen.processes} processes: {about}.", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        run = Run(files, ["-m", "not slow"] if chosen.fast else [], log)
        run.go(chosen.processes)
    report(run.outcome, chosen.slowest, time.monotonic() - began)
    if chosen.measure:
        costs = sorted(run.outcome.costs.items())
        table = ",\n".join(f"{json.dumps(file)}: {json.dumps(cost)}" for file, cost in costs)
        (ROOT / COSTS).write_text(f"{{\n{table}\n}}\n")
    return 1 if run.outcome.bad else 0


if __name__ == "__main__":
    sys.exit(main())
