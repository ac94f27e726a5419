"""The layout: links, the list of packages, the size of modules."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.guard.checkout import sources, sources_below
from tests.support.checkout import ROOT

LONGEST = 400

# The name under which each folder is imported.
IMPORTED_AS = {
    "prefork": "prefork",
    "socketserver": "prefork.socketserver",
    "workers": "prefork.workers",
}


@pytest.mark.parametrize("name", ["socketserver", "workers"])
def test_links_are_relative(name: str) -> None:
    """An absolute link, or a copy of the folder, would be wrong in every other checkout."""
    link = ROOT / "prefork" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..", name)


def test_every_package_is_listed_for_setuptools() -> None:
    """A package that is not listed works in the checkout and is missing from the wheel."""
    packages = {
        ".".join([IMPORTED_AS[folder], *path.parent.relative_to(ROOT / folder).parts])
        for folder in IMPORTED_AS
        for path in sources_below(ROOT / folder)
    }
    with (ROOT / "pyproject.toml").open("rb") as file:
        setuptools = tomllib.load(file)["tool"]["setuptools"]
    assert sorted(setuptools["packages"]) == sorted(packages)
    assert setuptools["package-dir"] == {
        name: folder for folder, name in IMPORTED_AS.items() if name != folder
    }


def test_every_package_has_an_init() -> None:
    """Without one, setuptools and type checkers see no package."""
    missing = [
        path.parent
        for folder in IMPORTED_AS
        for path in sources_below(ROOT / folder)
        if not (path.parent / "__init__.py").exists()
    ]
    assert not missing


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "prefork" / "py.typed").exists()


def too_long(paths: Iterable[Path]) -> dict[str, int]:
    """Return the modules with more than `LONGEST` lines, and how many they have."""
    lengths = {str(path): len(path.read_text().splitlines()) for path in paths}
    return {path: length for path, length in lengths.items() if length > LONGEST}


def test_no_module_is_too_long_to_read() -> None:
    paths = list(sources())
    assert ROOT / "socketserver" / "__init__.py" in paths
    assert not too_long(paths)


def test_a_module_that_is_too_long_is_found(tmp_path: Path) -> None:
    short, long = tmp_path / "short.py", tmp_path / "long.py"
    short.write_text("1\n" * LONGEST)
    long.write_text("1\n" * (LONGEST + 1))
    assert too_long([short, long]) == {str(long): LONGEST + 1}
