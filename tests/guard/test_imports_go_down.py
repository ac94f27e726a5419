"""Who imports whom: prefork.cli, then socketserver, then prefork, then workers, and never back."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.checkout import sources_below
from tests.support.checkout import ROOT

Import = tuple[Path, int, str]

# These two stand above all layers: the front door and the program.
ABOVE = {"__init__.py", "__main__.py"}


def imports(path: Path) -> Iterator[Import]:
    """Every name a file imports, anywhere in it; `from a import b` counts as `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield path, node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            for alias in node.names:
                yield path, node.lineno, f"{start}.{alias.name}"


def layer(name: str) -> list[Import]:
    """All imports of one layer of the project."""
    files = list(sources_below(ROOT / name))
    if name == "prefork":
        above = {ROOT / "prefork" / file for file in ABOVE}
        files = [file for file in files if file not in above]
        files = [file for file in files if ROOT / "prefork" / "cli" not in file.parents]
    assert files, f"the folder {name} holds no module"
    return [found for file in files for found in imports(file)]


def under(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def listed(wrong: list[Import]) -> str:
    """The imports that break a rule, as a compiler would show them; empty where none does."""
    return "\n".join(f"{path.relative_to(ROOT)}:{line}: {name}" for path, line, name in wrong)


def modules_of_prefork() -> set[str]:
    """The modules and packages that are imported under `prefork`, except for the program."""
    names = {path.stem for path in (ROOT / "prefork").iterdir()}
    return {f"prefork.{name}" for name in names if not name.startswith("_")} - {"prefork.cli"}


def outside(allowed: set[str], of: str) -> str:
    """The imports of ours in a layer that are none of those allowed."""
    wrong = [
        found
        for found in layer(of)
        if under(found[2], "prefork") and not any(under(found[2], name) for name in allowed)
    ]
    return listed(wrong)


def test_workers_import_nothing_above_them() -> None:
    assert not outside({"prefork.workers"}, of="workers")


def test_the_master_imports_nothing_of_the_documented_api() -> None:
    assert not outside(modules_of_prefork() - {"prefork.socketserver"}, of="prefork")


def test_the_documented_api_knows_nothing_of_the_program() -> None:
    assert not outside(modules_of_prefork(), of="socketserver")


@pytest.mark.parametrize("name", ["workers", "prefork", "socketserver"])
def test_modules_are_imported_by_their_full_names(name: str) -> None:
    """`import workers` works at the root only; elsewhere `socketserver` is another module."""
    wrong = [
        found
        for found in layer(name)
        if found[2].startswith(".") or under(found[2], "workers") or under(found[2], "socketserver")
    ]
    assert not listed(wrong)


def test_the_rules_are_able_to_fail(tmp_path: Path) -> None:
    source = "import prefork\nif True:\n    from prefork import pool\nfrom ..a import b\n"
    module = tmp_path / "module.py"
    module.write_text(source)
    assert sorted(found[1:] for found in imports(module)) == [
        (1, "prefork"),
        (3, "prefork.pool"),
        (4, "..a.b"),
    ]
