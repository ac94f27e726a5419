"""Rooms that only compute: they make no system call, and the clock is an argument."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.checkout import compare
from tests.support.checkout import ROOT
from tools import rooms

PURE = {
    "prefork/advice",
    "prefork/policies",
    "prefork/settings",
    "prefork/simulation",
    "prefork/state",
}

ALLOWED = {
    "__future__": "no code",
    "collections": "only computes",
    "dataclasses": "only computes",
    "enum": "only computes",
    "functools": "only computes",
    "heapq": "only computes",
    "itertools": "only computes",
    "logging": "a report is a log record; the program decides where it is written",
    "math": "only computes",
    "numpy": "only computes",
    "random": "only generators with a seed, and the jitter of a limit: see `ALLOWED_NAMES`",
    "scipy": "only computes",
    "signal": "only the numbers of signals: see `ALLOWED_NAMES`",
    "statistics": "only computes",
    "types": "only names of types",
    "typing": "only names of types",
    "prefork.workers.protocol.channel.Channel": "a record holds the channel for the master",
    "prefork.workers.protocol.exit_codes": "numbers and their meaning",
    "prefork.workers.protocol.scoreboard.Reading": "a tuple",
    "prefork.workers.protocol.scoreboard.State": "an enum",
}
"""The modules that a pure room may import besides other pure rooms, with the reason."""

ALLOWED_NAMES = {
    "random": {"Random", "randint"},
    "signal": {"SIGKILL", "SIGTERM"},
}
"""The names that may be used of a module whose other names would break the rule."""

SYSTEM_CALLS = {"open", "input", "print", "breakpoint", "exec", "eval", "__import__"}

LEFT: dict[str, str] = {}
"""The names that still break the rule. This list may only become shorter."""


def impure(path: Path, name: str) -> Iterator[str]:
    """Yield what a module imports or calls that a pure one must not, as `PATH: WHAT`."""
    tree = ast.parse((ROOT / path).read_text() if not path.is_absolute() else path.read_text())
    statements = rooms.imports_of(tree, path)
    imported = [statement.name for statement in statements if statement.is_executed]
    for each in imported:
        if not allowed(each):
            yield f"{name}: {each}"
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=called)) if called in SYSTEM_CALLS:
                yield f"{name}: {called}()"
            case ast.Attribute(value=ast.Name(id=module), attr=used) if (
                module in imported and used not in ALLOWED_NAMES.get(module, {used})
            ):
                yield f"{name}: {module}.{used}"


def allowed(imported: str) -> bool:
    """Return whether a pure room may import this name.

    Only the listed names of a module in `ALLOWED_NAMES` are allowed. `import random` is
    allowed; the names that the module then uses are checked.
    """
    package, _, attribute = imported.partition(".")
    if attribute and package in ALLOWED_NAMES:
        return attribute in ALLOWED_NAMES[package]
    inside = [room.replace("/", ".") for room in PURE]
    return any(rooms.is_within(imported, one) for one in [*ALLOWED, *inside])


def test_pure_rooms_make_no_system_call_and_read_no_clock() -> None:
    modules = [each for each in rooms.House().modules.values() if each.room in PURE]
    assert {module.room for module in modules} == PURE
    found = [each for module in modules for each in impure(module.path, str(module.path))]
    assert not compare(found, LEFT)


def test_every_allowed_name_is_used() -> None:
    """An exception for a name that no pure room imports is not needed."""
    modules = [each for each in rooms.House().modules.values() if each.room in PURE]
    imported = {each.name for module in modules for each in module.imports}
    unused = [name for name in ALLOWED if not any(rooms.is_within(one, name) for one in imported)]
    assert not unused


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import time", "time"),
        ("from time import monotonic", "time.monotonic"),
        ("import os.path", "os.path"),
        ("from prefork.linux import fork", "prefork.linux.fork"),
        ("from prefork.workers.protocol import channel", "prefork.workers.protocol.channel"),
        ("from random import random", "random.random"),
        ("import random\nrandom.random()", "random.random"),
        ("import signal\nsignal.signal(1, 0)", "signal.signal"),
        ("def read():\n    return open('/proc/stat')", "open()"),
    ],
)
def test_a_system_call_is_found(line: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(line)
    assert list(impure(path, "module")) == [f"module: {found}"]


def test_plain_computing_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "import math, random\nfrom random import Random\n"
        "if TYPE_CHECKING:\n    from pathlib import Path\n"
        "from prefork.policies import restarts\nrandom.Random(1); math.inf\n"
    )
    assert not list(impure(path, "module"))
