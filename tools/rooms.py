"""Prints the rooms of the checkout, and which room imports which.

    python tools/rooms.py

A room is a folder at the top of the tree (`benchmarks`, `socketserver`, ...) or, in `prefork/`, a
folder or a module (`prefork/cli`, `prefork/settings`). The program reads all import statements of
every module, also those inside of functions. Imports for type checkers (below `if TYPE_CHECKING:`)
are included for the rooms, but not for circles of modules, because they are never executed.

The exit status is 1 when

- a room imports one that is on the same floor or on a higher one (`FLOORS`),
- a room has no floor,
- modules import each other in a circle,
- there are more than `MOST_ROOMS` rooms.

One kind of import is not included: a module may import a package that contains it, as in
`import prefork.socketserver as api` inside of `socketserver/`. Programs replace names in that
package (such as `socketserver.socket`), so its modules must look them up there at the moment of
use. The package imports its modules before it is complete; that works because none of them uses a
name of the package while it is imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FLOORS: tuple[tuple[str, ...], ...] = (
    ("workers", "prefork/settings"),
    ("prefork/policies", "prefork/linux"),
    ("prefork/state",),
    ("prefork/readings", "prefork/simulation"),
    ("prefork/master", "prefork/advice"),
    ("prefork/loadtest",),
    ("socketserver",),
    ("prefork",),
    ("prefork/cli",),
    ("benchmarks", "tools"),
)
"""The rooms, from the lowest floor to the highest. A room may import only rooms below its floor."""

MOST_ROOMS = 18

FOLDERS = {
    "prefork": "prefork",
    "socketserver": "prefork.socketserver",
    "workers": "prefork.workers",
    "benchmarks": "benchmarks",
    "tools": "tools",
}
"""The folders that are read, and the names under which they are imported."""

Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class Import:
    """An import statement: its place, and the full name of what it imports.

    `from a import b` imports `a.b`. A relative import keeps its dots.
    """

    path: Path
    line: int
    name: str
    is_executed: bool = True
    """False for an import that only a type checker reads."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.name}"


@dataclass(frozen=True)
class Module:
    """One file: its path below the root, its full name, its room and its import statements."""

    path: Path
    name: str
    room: str
    lines: int
    imports: tuple[Import, ...]


class House:
    """All modules below `root`, and the arrows between them.

    `modules` has them by their full names. `imported` says which modules each of them imports
    when it runs.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.modules = {module.name: module for module in read_modules(root)}
        self.imported: dict[str, set[str]] = {name: set() for name in self.modules}
        self._arrows: list[tuple[Import, str, str]] = []
        for module in self.modules.values():
            for statement in module.imports:
                target = self._module_of(statement.name)
                if target is None or is_within(module.name, target):
                    continue
                if statement.is_executed:
                    self.imported[module.name].add(target)
                self._arrows.append((statement, module.room, self.modules[target].room))

    def rooms(self) -> dict[str, set[str]]:
        """Each room with the rooms that it imports, those of the highest floor first."""
        found: dict[str, set[str]] = {module.room: set() for module in self.modules.values()}
        for _, here, there in self._arrows:
            if here != there:
                found[here].add(there)
        return dict(sorted(found.items(), key=lambda item: (-floor_of(item[0]), item[0])))

    def upward(self) -> list[Import]:
        """The statements that import from the same floor or from a higher one."""
        return [
            statement
            for statement, here, there in self._arrows
            if here != there and floor_of(there) >= floor_of(here)
        ]

    def without_floor(self) -> list[str]:
        return [room for room in self.rooms() if not floor_of(room)]

    def circles(self) -> list[list[str]]:
        """The groups of modules that import each other, directly or indirectly."""
        return circles(self.imported)

    def lines(self, room: str) -> int:
        return sum(module.lines for module in self.modules.values() if module.room == room)

    def _module_of(self, name: str) -> str | None:
        """The module that has this name or contains it; `None` outside of the checkout."""
        while name and name not in self.modules:
            name = name.rpartition(".")[0]
        return name or None


def floor_of(room: str) -> int:
    """Return the number of a room's floor, from 1; 0 if it has none."""
    for number, rooms in enumerate(FLOORS, start=1):
        if room in rooms:
            return number
    return 0


def is_within(name: str, package: str) -> bool:
    """Return whether a module is this package or is contained in it."""
    return name == package or name.startswith(package + ".")


def read_modules(root: Path) -> Iterator[Module]:
    """Yield the modules of all folders, each once: links in `prefork/` are not followed."""
    for folder, package in FOLDERS.items():
        for path in files_below(root / folder):
            parts = path.relative_to(root / folder).with_suffix("").parts
            name = ".".join([package, *parts]).removesuffix(".__init__")
            text = path.read_text()
            here = path.relative_to(root)
            statements = tuple(imports_of(ast.parse(text, str(path)), here))
            yield Module(here, name, room_of(folder, parts), len(text.splitlines()), statements)


def files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            yield from files_below(path)
        elif path.suffix == ".py":
            yield path


def room_of(folder: str, parts: tuple[str, ...]) -> str:
    """Return the room of a file, from the parts of its path below a folder, without the suffix."""
    if folder != "prefork" or parts == ("__init__",):
        return folder
    # `python -m prefork` is the command.
    return "prefork/cli" if parts == ("__main__",) else f"prefork/{parts[0]}"


def imports_of(tree: ast.AST, path: Path) -> Iterator[Import]:
    """Yield the import statements of a module, one for each name that is imported."""
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        is_executed = id(node) not in typing_only
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, is_executed)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (f"{node.module}." if node.module else "")
            for alias in node.names:
                yield Import(path, node.lineno, start + alias.name, is_executed)


def circles(graph: Graph) -> list[list[str]]:
    """Return the sets of two or more nodes that are reachable from each other (Tarjan 1972)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        path.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in path:
                lowest[node] = min(lowest[node], index[other])
        if lowest[node] == index[node]:
            start = path.index(node)
            component = path[start:]
            del path[start:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def table(house: House) -> str:
    """Return a line for each room, from the top floor down: floor, name, lines of code, imports."""
    rows = [("floor", "room", "lines", "imports")]
    for room, imported in house.rooms().items():
        below = sorted(imported, key=lambda other: (-floor_of(other), other))
        rows.append((str(floor_of(room) or "?"), room, f"{house.lines(room):,}", ", ".join(below)))
    width = max(len(row[1]) for row in rows)
    return "\n".join(f"{a:>5}  {b:<{width}}  {c:>6}  {d}".rstrip() for a, b, c, d in rows)


def listed(title: str, lines: Iterable[object]) -> str:
    return "\n".join([f"\n{title}:", *(f"  {line}" for line in lines)])


def main() -> int:
    """Print the table and the broken rules; return the exit status."""
    house = House()
    rooms, upward, loops = house.rooms(), house.upward(), house.circles()
    without_floor = house.without_floor()
    print(table(house))
    print(
        f"\n{len(rooms)} rooms (at most {MOST_ROOMS}) on {len(FLOORS)} floors, "
        f"{sum(map(len, rooms.values()))} arrows, {len(upward)} of them upward, "
        f"circles of modules: {len(loops)}."
    )
    if upward:
        print(listed("Imports from the same floor or a higher one", upward))
    if without_floor:
        print(listed("Rooms without a floor; add them to FLOORS in tools/rooms.py", without_floor))
    if loops:
        print(listed("Circles", (", ".join(loop) for loop in loops)))
    return 1 if upward or without_floor or loops or len(rooms) > MOST_ROOMS else 0


if __name__ == "__main__":
    sys.exit(main())
