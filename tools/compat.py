"""Runs CPython's own test modules with our module in place of `socketserver`.

    python tools/compat.py            all modules on each Python from 3.11 upwards that is found
    python tools/compat.py 3.12       the same on 3.12 alone

Each test module runs in its own interpreter, which imports `socketserver` with the checkout first
on its path, like a program that is started at the root of the checkout. A module fails when a test
fails, when a process or thread is left at its end, and when any module has loaded the standard
library's `socketserver`. It also fails when fewer tests pass than with the standard library's
module; both are tested concurrently. A Python without CPython's tests is skipped with a
message, which is a failure if it is the running Python or was named. All traffic is on loopback.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import types
import unittest
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent

OLDEST = 11  # the 11 of Python 3.11
RUNNING = ".".join(map(str, sys.version_info[:2]))

MODULES = (
    "test_socketserver",
    "test_httpservers",
    "test_xmlrpc",
    "test_docxmlrpc",
    "test_wsgiref",
    "test_logging",
    "test_urllib2_localnet",
    "test_imaplib",
)
OURS, STANDARD = "ours", "standard"

# The resources that CPython's tests may use. test_socketserver requires "network" for loopback
# sockets; test_imaplib requires it to connect to a public server, so it does not get it.
RESOURCES = ["walltime"]
GETS_NETWORK = "test_socketserver"

MODULE_DEADLINE = 180.0  # the slowest takes less than a minute
PROBE_DEADLINE = 30.0  # an interpreter that only prints its version
ENDING_DEADLINE = 10.0  # for threads and processes of a module to end by themselves

PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Result:
    """The result of one test module in one interpreter."""

    module: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.failed and not self.complaints


# --- in the interpreter of one test module


class Outcome(unittest.TestResult):
    """Counts the tests that passed; `testsRun` includes skipped ones on some versions only."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.passed += 1

    def report(self) -> int:
        """Print the failures, and return how many there are."""
        for test, trace in self.failures + self.errors:
            print(f"{'=' * 70}\n{test}\n{trace}")
        for test in self.unexpectedSuccesses:
            print(f"{'=' * 70}\n{test}\nThis test was expected to fail, but passed.")
        return len(self.failures) + len(self.errors) + len(self.unexpectedSuccesses)


def run_module(name: str, side: str) -> Result:
    """Run one of CPython's test modules in this process, and check what it leaves behind."""
    faulthandler.dump_traceback_later(MODULE_DEADLINE - ENDING_DEADLINE)
    become_subreaper()
    complaints = replace_socketserver() if side == OURS else []
    support = importlib.import_module("test.support")
    resources = [*RESOURCES, "network"] if name == GETS_NETWORK else RESOURCES
    support.use_resources = resources  # type: ignore[attr-defined]
    threads = set(threading.enumerate())
    started = time.monotonic()
    suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{name}")
    outcome = Outcome()
    suite.run(outcome)
    seconds = time.monotonic() - started
    complaints += [*threads_left(threads), *processes_left()]
    if side == OURS:
        complaints += standard_modules_loaded()
    return Result(
        name,
        passed=outcome.passed,
        failed=outcome.report(),
        skipped=len(outcome.skipped),
        seconds=round(seconds, 1),
        complaints=complaints,
    )


def replace_socketserver() -> list[str]:
    """Import `socketserver` from the checkout; return a complaint if it is another module."""
    sys.path.insert(0, str(ROOT))
    found = importlib.import_module("socketserver")
    ours = importlib.import_module("prefork.socketserver")
    if found is ours:
        return []
    return [f"`import socketserver` gave {found.__file__} instead of prefork.socketserver"]


def standard_modules_loaded() -> Iterator[str]:
    """Find the standard library's module among the loaded ones, under any name."""
    if sys.modules.get("socketserver") is not sys.modules["prefork.socketserver"]:
        yield "sys.modules has another module than prefork.socketserver"
    standard = Path(sysconfig.get_path("stdlib"), "socketserver.py").resolve()
    for thing in gc.get_objects():
        if isinstance(thing, types.ModuleType):
            file = vars(thing).get("__file__")
            if file and Path(file).resolve() == standard:
                yield f"the standard library's module was loaded as {thing.__name__}"


def become_subreaper() -> None:
    """Make orphaned descendants children of this process, so that `processes_left` sees them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def threads_left(before: set[threading.Thread]) -> list[str]:
    """Return a complaint for each new thread that does not end."""
    deadline = time.monotonic() + ENDING_DEADLINE
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [f"thread {thread.name} is left" for thread in left if thread.is_alive()]


def processes_left() -> list[str]:
    """Return a complaint for each child that was not reaped; kill those that do not end."""
    stop_helpers()
    complaints = []
    deadline = time.monotonic() + ENDING_DEADLINE
    for pid in children():
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        # A zombie has no command line.
        complaints.append(f"process {pid} is left ({command or 'ended, but not reaped'})")
        if not ends_before(deadline, pid):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return complaints


def ends_before(deadline: float, pid: int) -> bool:
    pidfd = os.pidfd_open(pid)
    try:
        return bool(select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))[0])
    finally:
        os.close(pidfd)


def stop_helpers() -> None:
    """End the processes that multiprocessing keeps until the interpreter exits."""
    for name in ("forkserver", "resource_tracker"):  # in this order: the first uses the second
        helper = sys.modules.get(f"multiprocessing.{name}")
        if helper is not None:
            getattr(helper, f"_{name}")._stop()


def children() -> list[int]:
    """Return the children of all threads of this process."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        # A thread that has been joined may still be listed, but be gone when its file is read.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


# --- in the interpreter that runs the others


@dataclass(frozen=True)
class Interpreter:
    """A Python that can run its own tests."""

    path: str
    version: str
    """As in 3.12."""
    release: str
    """As in 3.12.10."""


class Missing(Exception):
    """No interpreter of a version can be used; the message says why."""


def candidates() -> dict[str, list[str]]:
    """Return possible paths by version: this Python, those on PATH, those of pyenv."""
    found = {RUNNING: [sys.executable]}
    folders = [Path(folder).absolute() for folder in os.get_exec_path()]
    if root := pyenv_root():
        folders += sorted(Path(root, "versions").glob("3.*/bin"), key=patch_number, reverse=True)
    for path in (path for folder in folders for path in folder.glob("python3.*")):
        version = path.name.removeprefix("python")
        if minor_number(version) >= OLDEST:
            found.setdefault(version, []).append(str(path))
    return {version: found[version] for version in sorted(found, key=minor_number)}


def minor_number(version: str) -> int:
    """Return the 12 of 3.12; 0 for anything else."""
    named = re.fullmatch(r"3\.(\d+)", version)
    return int(named[1]) if named else 0


def pyenv_root() -> str:
    """Return the folder of pyenv, or an empty string if there is none."""
    if root := os.environ.get("PYENV_ROOT"):
        return root
    return output_of("pyenv", "root").stdout.strip() if shutil.which("pyenv") else ""


def output_of(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program that prints one line."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PROBE_DEADLINE, check=False
    )


def patch_number(folder: Path) -> int:
    """Return the last number of `.../3.12.10/bin`; 0 if it is not a release."""
    patch = folder.parent.name.rpartition(".")[2]
    return int(patch) if patch.isdigit() else 0


PROBE = """
import importlib.util, platform, sys
print("%d.%d" % sys.version_info[:2], platform.python_version())
importlib.util.find_spec("test.test_socketserver") or sys.exit(1)
"""
DEBIAN = "Debian's libpython{}-testsuite"


def find_interpreter(version: str, paths: list[str]) -> Interpreter:
    """Return the first interpreter of this version that has CPython's tests.

    Errors: `Missing` when there is none at these paths.
    """
    reason = "no interpreter of this version was found"
    for path in paths:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            answer = output_of(path, "-I", "-c", PROBE)
            found, _, release = answer.stdout.strip().partition(" ")
            if found == version and answer.returncode == 0:
                return Interpreter(path, version, release)
            if found == version:
                reason = f"{release} has no package `test` ({DEBIAN.format(version)})"
    raise Missing(f"Python {version} was not checked: {reason}.")


def run_apart(python: Interpreter, module: str, side: str) -> Result:
    """Run one test module in its own interpreter and working directory."""
    with tempfile.TemporaryDirectory(prefix="compat-") as folder:
        answer = Path(folder, "result.json")
        work = Path(folder, "work")
        work.mkdir()
        command = [python.path, "-I", __file__, "--module", module, side, str(answer)]
        started = time.monotonic()
        with Path(folder, "output").open("w+b") as output:
            ending = run_group(command, work, output)
            if answer.exists():
                result = Result(**json.loads(answer.read_text()))
            else:
                seconds = round(time.monotonic() - started, 1)
                result = Result(module, seconds=seconds, complaints=[ending])
            if side == OURS and not result.good:
                output.seek(0)
                sys.stdout.write(output.read().decode(errors="replace"))
    return result


def run_group(command: list[str], folder: Path, output: IO[bytes]) -> str:
    """Run a command until it ends or its deadline passes, then kill its process group.

    Returns a sentence that says how it ended.
    """
    process = subprocess.Popen(
        command, cwd=folder, stdout=output, stderr=output, start_new_session=True
    )
    try:
        process.wait(MODULE_DEADLINE)
        return f"the interpreter exited with status {process.returncode}"
    except subprocess.TimeoutExpired:
        return f"it still ran after {MODULE_DEADLINE:.0f} s and was killed"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_modules(python: Interpreter) -> list[str]:
    """Run all modules on one interpreter and print a line for each; return the complaints."""
    wrong = []
    total = 0
    with ThreadPoolExecutor(1) as beside:
        for module in MODULES:
            standard = beside.submit(run_apart, python, module, STANDARD)
            result = run_apart(python, module, OURS)
            least = standard.result().passed
            if result.passed < least:
                result.complaints.append(
                    f"{result.passed} passed, {least} with the standard library's module"
                )
            print(line_of(result, python), flush=True)
            total += result.passed
            if result.failed:
                wrong.append(f"{python.release} {module}: {result.failed} failed")
            wrong += [f"{python.release} {module}: {complaint}" for complaint in result.complaints]
    print(f"{python.release:8} {total} tests passed with our module", flush=True)
    return wrong


def line_of(result: Result, python: Interpreter) -> str:
    run = result.passed + result.failed + result.skipped
    return (
        f"{python.release:8} {result.module:22} {run:4} run {result.passed:4} passed"
        f" {result.failed:3} failed {result.skipped:3} skipped {result.seconds:6.1f} s"
        f"{'' if result.good else '  WRONG'}"
    )


def run_versions(named_versions: list[str]) -> list[str]:
    """Run all versions that are found, concurrently: they wait most of the time."""
    paths = candidates()
    required = named_versions or [RUNNING]
    found, wrong = [], []
    for version in named_versions or paths:
        try:
            found.append(find_interpreter(version, paths.get(version, [])))
        except Missing as reason:
            if version in required:
                wrong.append(str(reason))
            else:
                print(reason, flush=True)
    with ThreadPoolExecutor(max(1, len(found))) as threads:
        return sum(threads.map(run_modules, found), wrong)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--module"]:
        _, module, side, answer = arguments
        Path(answer).write_text(json.dumps(asdict(run_module(module, side))))
        return 0
    if not all(minor_number(version) >= OLDEST for version in arguments):
        print(f"Arguments are versions such as 3.12, from 3.{OLDEST} upwards (default: all found).")
        return 2
    wrong = run_versions(arguments)
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
