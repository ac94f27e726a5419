"""Break our module in known ways, one at a time; the tests of the documented API must notice each.

    python tools/mutants.py             all that mutants.toml lists
    python tools/mutants.py 12 13       only these numbers
    python tools/mutants.py --jobs 4    more at a time

Every defect is put into a copy of the tree, and the tests of our side run there until the first
failure. A run that hangs counts as noticed. Ends with 1 if a defect survives, and with 2 if the
list does not fit the source any more or the tests fail without any defect.
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

TIME_FOR_ALL_TESTS = 120.0
"""Seconds; the tests take a few. Longer means that the defect made them hang."""

TIME_FOR_ONE_TEST = 20

PATIENCE = "0.5"
"""A defect often shows as a wait in vain: the deadlines inside the tests are halved."""

PASSED, FAILED = 0, 1  # pytest's exit codes; all others mean that the tests did not run


class Unfit(Exception):
    """The list of defects does not fit the source, or the tests are no measure now.

    The message says in a sentence which, and where.
    """


@dataclass(frozen=True)
class Edit:
    """A text that occurs in a file so many times, and what to put there instead."""

    file: str
    old: str
    new: str
    times: int = 1

    def check(self, tree: Path) -> None:
        found = (tree / self.file).read_text().count(self.old)
        if found != self.times:
            raise Unfit(f"{self.file} has this text {found} times, not {self.times}:\n{self.old}")

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
    """What became of a defect."""

    noticed: bool
    how: str
    """The first test that failed, `hangs`, or `survived`."""


def read_table() -> list[Mutant]:
    """All that the table lists, numbered from one."""
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
        # Whole lines: also what precedes them is a line's end, and so no part of a longer line.
        old, new = "\n" + old, "\n" + new
    return Edit(record["file"], old, new, record.get("times", 1))


@contextlib.contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    """A copy of what the tests need, in a temporary folder."""
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
    """Run the tests of our side in a tree until the first failure."""
    code, output = run_for(TIME_FOR_ALL_TESTS, tree)
    if code is None:
        return Outcome(True, "hangs")
    if code == PASSED:
        return Outcome(False, "survived")
    if code == FAILED or code < 0:
        return Outcome(True, _first_failure(output) or f"exit code {code}")
    raise Unfit(f"The tests did not run; pytest ended with {code}:\n{output}")


def run_for(seconds: float, tree: Path) -> tuple[int | None, str]:
    """pytest's exit code (`None`: it was not done in time) and what it printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
    command += [f"--timeout={TIME_FOR_ONE_TEST}", "-k", "ours", TESTS]
    environment = {**os.environ, "PREFORK_TEST_PATIENCE": PATIENCE, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)  # the copy shall be tested, not what it was made from
    with tempfile.TemporaryFile("w+") as output:
        # The output goes to a file: a child that was left behind could hold a pipe open for ever.
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
            # Also what the tests left behind. The leader has not been waited for yet: until then
            # the number of its group cannot be anybody else's.
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
    """Have the tests look for one defect."""
    with copy_of_the_tree() as tree:
        mutant.apply(tree)
        # A module that cannot even be imported would fail every test, and show nothing.
        command = [sys.executable, "-c", "import prefork.socketserver"]
        answer = subprocess.run(command, cwd=tree, stderr=subprocess.PIPE, text=True)
        if answer.returncode:
            raise Unfit(f"{mutant}: the module cannot be imported with it.\n{answer.stderr}")
        return run_tests(tree)


def check_the_measure(mutants: list[Mutant]) -> None:
    """Every defect fits the source, and without any the tests pass."""
    for mutant in mutants:
        mutant.check(ROOT)
    with copy_of_the_tree() as tree:
        outcome = run_tests(tree)
    if outcome.noticed:
        raise Unfit(f"The tests fail without any defect: {outcome.how}.")


def chosen(numbers: list[int]) -> list[Mutant]:
    """Those with these numbers; all, if none is given."""
    mutants = {mutant.number: mutant for mutant in read_table()}
    if unknown := [number for number in numbers if number not in mutants]:
        named = ", ".join(map(str, unknown))
        raise Unfit(f"The table has no number {named}: there are 1 to {len(mutants)}.")
    return [mutants[number] for number in numbers or mutants]


def try_all(mutants: list[Mutant], jobs: int) -> Counter[str]:
    """Try so many at a time, a printed line each; how many of each kind were noticed."""
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
    parser = argparse.ArgumentParser(description="Have the tests notice known defects.")
    parser.add_argument("numbers", nargs="*", type=int, help="try these only")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
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
