"""The command as a program (`program`), forked (`forked`, `serve`), or in this process (`command`);
`parsed`: its arguments as it reads them."""

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefork.cli import app as application
from prefork.cli import main
from prefork.cli.options import ServeOptions
from tests.cli.forked import Forked
from tests.cli.kit import HERE, Finished, Program, environment, interpreter, reap_orphans_since
from tests.support.announcements import Gate, Told
from tests.support.checkout import ROOT, as_if_installed
from tests.support.children import children

Start = Callable[..., Program]
Run = Callable[..., Finished]


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """The folder in which the command finds our package and the tests, as if installed."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "tests").symlink_to(ROOT / "tests")
    return as_if_installed(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The current folder of the command."""
    folder = tmp_path / "current"
    folder.mkdir()
    return folder


@pytest.fixture
def starting(
    modules: Path, folder: Path, told: Told, gate: Gate
) -> Iterator[Callable[..., Program]]:
    """`starting(how, "serve", ...)` starts the command; see `program` and `forked`."""
    started = []
    channels = {"TOLD": told._writer, "GATE": gate._counter}

    def start(how: Callable[..., Any], *arguments: object, **variables: str) -> Program:
        variables |= {name: str(descriptor) for name, descriptor in channels.items()}
        surroundings = environment(modules, **variables)
        started.append(Program(how, arguments, folder, surroundings, list(channels.values())))
        return started[-1]

    yield start
    gate.open()
    for one in reversed(started):  # each waits for all processes that came after its start
        one.dispose()


@pytest.fixture
def program(starting: Callable[..., Program]) -> Start:
    """`program("serve", ...)` starts `python -m prefork`; variables of its environment are
    keywords.

    Handlers in it reach the test's `told` and `gate`.
    """
    return functools.partial(starting, interpreter)


@pytest.fixture
def forked(starting: Callable[..., Program]) -> Start:
    """The same in a fork of this process, where no separate interpreter is needed."""
    return functools.partial(starting, Forked)


@pytest.fixture
def reaps_orphans() -> Iterator[None]:
    """Reap what is left of servers that are killed with their processes, which takes a moment."""
    before = children()
    yield
    reap_orphans_since(before)


@pytest.fixture
def command(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    reaps_orphans: None,
) -> Run:
    """`command("bench", ...)` runs it in this process, which has loaded all that it needs.

    The processes that it starts are interpreters of their own, as ever.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Finished:
        code = main([str(argument) for argument in arguments])
        return Finished(code, *capfd.readouterr())

    return run


@pytest.fixture
def serve(forked: Start) -> Start:
    """`serve("Echo", ...)` serves something of `tests/cli/handlers.py`, forked."""

    def start(name: str, *arguments: object, **variables: str) -> Program:
        target = f"handlers:{name}"
        return forked("serve", target, "--app-dir", HERE, *arguments, **variables)

    return start


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`parsed(words...)`: what `prefork serve` would be called with, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PREFORK_")]:
        monkeypatch.delenv(name)
    calls: list[tuple[str, ServeOptions]] = []

    def note(target: str, options: ServeOptions) -> int:
        calls.append((target, options))
        return 0

    monkeypatch.setattr("prefork.cli.serve.command.serve", note)

    def parse(*words: str) -> tuple[str, ServeOptions]:
        call = application.parse(["serve", *words])
        assert call is not None
        assert call() == 0
        return calls.pop()

    return parse
