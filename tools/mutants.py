"""Breaks our module in known ways, one by one; the tests of the documented API must notice each.

    python tools/mutants.py             all that mutants.toml lists
    python tools/mutants.py 12 13       only these numbers
    python tools/mutants.py --jobs 4    four at once

Each defect is put into a copy of the tree, and the tests of our module run there until the first
failure. A run that hangs counts as noticed. The exit status is 1 if a defect survives, and 2 if the
list no longer matches the source or the tests fail without a defect. On a busy machine,
`PREFORK_TEST_PATIENCE` multiplies all deadlines.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_suffix(".toml")
KINDS = {"defect": "defects", "undone": "lost improvements"}
COPIED = ("prefork", "socketserver", "workers", "tests", "pyproject.toml")
TESTS = "tests/documented"

PATIENCE = float(os.environ.get("PREFORK_TEST_PATIENCE", "1"))

TIME_FOR_ALL_TESTS = 120.0 * PATIENCE
"""Seconds; the tests take a few. A run that takes longer hangs because of the defect."""

TIME_FOR_ONE_TEST = 20

PATIENCE_WITH_DEFECT = 0.5 * PATIENCE
"""Many defects show as a wait without an end, so the deadlines inside the tests are halved."""

PASSED, FAILED = 0, 1  # pytest's exit codes; all others mean that the tests did not run


class Unfit(Exception):
    """A defect does not match the source, or the tests fail without one; the message says which."""


@dataclass(frozen=True)
class Edit:
    """A string that occurs `times` times in a file, and its replacement."""

    file: str
    old: str
    new: str
    times: int = 1

    def check(self, tree: Path) -> None:
        found = (tree / self.file).read_text().count(self.old)
        if found != self.times:
            raise Unfit(
                f"{self.file} contains this string {found} times, not {self.times}:\n{self.old}"
            )

    def apply(self, tree: Path) -> None:
        self.check(tree)
        path = tree / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


@dataclass(frozen=True)
class Mutant:
    """Our module with one defect."""

    number: int
    kind: str
    what: str
    edits: tuple[Edit, ...]

    def __str__(self) -> str:
        return f"{self.number} ({self.what})"

    def check(self, tree: Path) -> None:
        for edit in self.edits:
            try:
                edit.check(tree)
            except Unfit as reason:
                raise Unfit(f"{self}: {reason}") from None

    def apply(self, tree: Path) -> None:
        for edit in self.edits:
            edit.apply(tree)


@dataclass(frozen=True)
class Outcome:
    """Whether the tests noticed a defect, and how."""

    noticed: bool
    how: str
    """The first test that failed, `hangs`, or `survived`."""


def read_table() -> list[Mutant]:
    """Read all mutants of the table, numbered from one."""
    with TABLE.open("rb") as file:
        table = tomllib.load(file)
    records = [(kind, record) for kind in KINDS for record in table[kind]]
    return [
        Mutant(
            number,
            kind,
            record["what"],
            (_edit(record), *(_edit(another) for another in record.get("also", ()))),
        )
        for number, (kind, record) in enumerate(records, start=1)
    ]


def _edit(record: dict[str, Any]) -> Edit:
    old: str = record["old"]
    new: str = record["new"]
    if old.endswith("\n"):
        # Whole lines: they must also start at the beginning of a line.
        old, new = "\n" + old, "\n" + new
    return Edit(record["file"], old, new, record.get("times", 1))


@contextlib.contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    """Copy what the tests need to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, tree / name, symlinks=True, ignore=ignored)
            else:
                shutil.copy2(source, tree / name)
        yield tree


def run_tests(tree: Path) -> Outcome:
    """Run the tests of our module in a tree until the first failure."""
    code, output = run_for(TIME_FOR_ALL_TESTS, tree)
    if code is None:
        return Outcome(True, "hangs")
    if code == PASSED:
        return Outcome(False, "survived")
    if code == FAILED or code < 0:
        return Outcome(True, _first_failure(output) or f"exit code {code}")
    raise Unfit(f"The tests did not run; pytest exited with {code}:\n{output}")


def run_for(seconds: float, tree: Path) -> tuple[int | None, str]:
    """Run pytest; return its exit code (`None`: it took longer than `seconds`) and its output."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
    command += [f"--timeout={TIME_FOR_ONE_TEST}", "-k", "ours", TESTS]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PREFORK_TEST_PATIENCE"] = str(PATIENCE_WITH_DEFECT)
    environment.pop("PYTHONPATH", None)  # otherwise the original would be tested, not the copy
    with tempfile.TemporaryFile("w+") as output:
        # The output goes to a file: a child that was left behind could keep a pipe open forever.
        process = subprocess.Popen(
            command,
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            in_time = _ends_within(seconds, process.pid)
        finally:
            # This also kills what the tests left behind. The leader has not been reaped yet, so the
            # number of its group cannot have been reused.
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        output.seek(0)
        return (code if in_time else None), output.read()


def _ends_within(seconds: float, pid: int) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _first_failure(text: str) -> str:
    found = re.search(r"^(?:FAILED|ERROR) \S*?(\w+\.py::\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def try_mutant(mutant: Mutant) -> Outcome:
    """Run the tests on a copy of the tree with one defect."""
    with copy_of_the_tree() as tree:
        mutant.apply(tree)
        # A module that cannot be imported would fail every test and show nothing.
        command = [sys.executable, "-c", "import prefork.socketserver"]
        answer = subprocess.run(command, cwd=tree, stderr=subprocess.PIPE, text=True)
        if answer.returncode:
            raise Unfit(f"{mutant}: the broken module cannot be imported.\n{answer.stderr}")
        return run_tests(tree)


def check_the_measure(mutants: list[Mutant]) -> None:
    """Check that each defect matches the source, and that the tests pass without a defect."""
    for mutant in mutants:
        mutant.check(ROOT)
    with copy_of_the_tree() as tree:
        outcome = run_tests(tree)
    if outcome.noticed:
        raise Unfit(f"The tests fail without a defect: {outcome.how}.")


def chosen(numbers: list[int]) -> list[Mutant]:
    """Return the mutants with these numbers, or all if no number is given."""
    mutants = {mutant.number: mutant for mutant in read_table()}
    if unknown := [number for number in numbers if number not in mutants]:
        named = ", ".join(map(str, unknown))
        raise Unfit(f"unknown defect {named}; the numbers are 1 to {len(mutants)}.")
    return [mutants[number] for number in numbers or mutants]


def try_all(mutants: list[Mutant], jobs: int) -> Counter[str]:
    """Try all, `jobs` at once, and print a line for each; count what was noticed, by kind."""
    noticed: Counter[str] = Counter()
    pool = ThreadPoolExecutor(jobs)
    try:
        check_the_measure(mutants)
        for mutant, outcome in zip(mutants, pool.map(try_mutant, mutants), strict=True):
            noticed[mutant.kind] += outcome.noticed
            mark = "      " if outcome.noticed else "ALIVE "
            print(f"{mark}{mutant.number:3} {mutant.what}: {outcome.how}", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    return noticed


def main() -> int:
    parser = argparse.ArgumentParser(description="Check that the tests notice known defects.")
    parser.add_argument("numbers", nargs="*", type=int, help="numbers of defects to try (all)")
    parser.add_argument("--jobs", type=int, default=2, help="how many to try at once (2)")
    arguments = parser.parse_args()
    begin = time.monotonic()
    try:
        mutants = chosen(arguments.numbers)
        noticed = try_all(mutants, arguments.jobs)
    except Unfit as reason:
        print(reason, file=sys.stderr)
        return 2
    tried = Counter(mutant.kind for mutant in mutants)
    for kind in tried:
        print(f"{KINDS[kind]}: {noticed[kind]} of {tried[kind]} noticed")
    print(f"{time.monotonic() - begin:.0f} s")
    return 0 if noticed == tried else 1


if __name__ == "__main__":
    sys.exit(main())
