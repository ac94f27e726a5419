"""The command and the benchmarks use the pool only by its public names, as any program does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.checkout import compare
from tests.support.checkout import ROOT
from tools import rooms

OUTSIDE = {"prefork/cli", "benchmarks"}
"""The rooms that must keep this rule."""

PRIVATE_ATTRIBUTE = re.compile(r"_prefork_\w+|_BaseServer__\w+|_PreforkMixIn__\w+|_Master__\w+")
"""Names of a server's or a pool's private state."""

PRIVATE_IMPORT = re.compile(
    r"prefork\.master\b.*|prefork(\..*)?\._(?!_)\w+.*"
    r"|prefork\.socketserver\.state\b.*|prefork\.socketserver\..*\.master_of"
)
"""The master, what returns it, the private record of a server, and names with an underscore."""

LEFT: dict[str, str] = {}
"""The names that still break the rule. This list may only become shorter."""


def private_names(path: Path, name: str) -> Iterator[str]:
    """Yield the private names that a module uses or imports, as `PATH: NAME`."""
    tree = ast.parse(path.read_text())
    for statement in rooms.imports_of(tree, path):
        if PRIVATE_IMPORT.fullmatch(statement.name):
            yield f"{name}: {statement.name}"
    for node in ast.walk(tree):
        match node:
            case (
                ast.Attribute(attr=used)
                | ast.Name(id=used)
                | ast.FunctionDef(name=used)
                | ast.keyword(arg=str(used))
                | ast.Constant(value=str(used))  # getattr(server, "_prefork_...")
            ) if PRIVATE_ATTRIBUTE.fullmatch(used):
                yield f"{name}: {used}"


def test_command_and_benchmarks_touch_nothing_private_of_the_master() -> None:
    modules = [each for each in rooms.House().modules.values() if each.room in OUTSIDE]
    assert {module.room for module in modules} == OUTSIDE
    found = [
        each for module in modules for each in private_names(ROOT / module.path, str(module.path))
    ]
    assert not compare(found, LEFT)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from prefork.master.children import Children", "prefork.master.children.Children"),
        ("from prefork import master", "prefork.master"),
        (
            "from prefork.socketserver.state import state_of",
            "prefork.socketserver.state.state_of",
        ),
        ("from prefork.socketserver.loop import _state", "prefork.socketserver.loop._state"),
        ("server._prefork_master.kill()", "_prefork_master"),
        ("vars(server)['_BaseServer__run']", "_BaseServer__run"),
        ("class Server:\n    def _prefork_in_master(self): ...", "_prefork_in_master"),
    ],
)
def test_a_private_name_is_found(line: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(line)
    assert list(private_names(path, "module")) == [f"module: {found}"]


def test_public_names_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "from prefork.socketserver import PreforkMixIn\nfrom prefork.state import __doc__\n"
        "server.prefork_stop(force=True)\nself._master = 'prefork_master'\n"
    )
    assert not list(private_names(path, "module"))
