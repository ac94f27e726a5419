"""Draws the state machines of `prefork/state/lifecycle.py`, as `docs/diagrams/states.md`.

    python tools/diagrams.py            write the page
    python tools/diagrams.py --check    exit with status 1 when the page is out of date

Each table called `..._TRANSITIONS` becomes a diagram (Mermaid, which code hosts and editors draw)
and two tables: the meaning of each state and event, which is the comment beside it in the source,
and the events that change nothing, which would only be loops in the diagram.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "prefork" / "state" / "lifecycle.py"
MODULE = "prefork.state.lifecycle"
PAGE = ROOT / "docs" / "diagrams" / "states.md"
SUFFIX = "_TRANSITIONS"

Table = Mapping[tuple[Enum, Enum], Enum]

HEAD = """# States

`python tools/diagrams.py` writes this page from the tables in `prefork/state/lifecycle.py`. An
event that is not shown for a state is a bug there: it raises `LifecycleError` and changes nothing.
"""


def tables() -> dict[str, Table]:
    """Return the tables of transitions, by their names without the suffix."""
    found = vars(importlib.import_module(MODULE))
    return {
        name.removesuffix(SUFFIX): table for name, table in found.items() if name.endswith(SUFFIX)
    }


def comments(source: str) -> dict[str, dict[str, str]]:
    """Return the comment beside each member of each class, by the names of both."""
    lines = source.splitlines()
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = {
                statement.targets[0].id: lines[statement.lineno - 1].partition("  # ")[2]
                for statement in node.body
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
            }
    return found


def page(found: Mapping[str, Table], meanings: Mapping[str, Mapping[str, str]]) -> str:
    """Return the whole page, with a section for each table."""
    return "\n".join([HEAD, *("\n".join(section(*each, meanings)) for each in found.items())])


def section(name: str, table: Table, meanings: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield the diagram of one table, and the meaning of its states and events."""
    state_type, event_type = (type(each) for each in next(iter(table)))
    yield f"## {name.replace('_', ' ').capitalize()}\n"
    yield f"{state_type.__doc__}\n"
    yield "```mermaid\nstateDiagram-v2"
    yield f"    [*] --> {next(iter(state_type)).name}"
    yield from (f"    {before} --> {after}: {what}" for before, after, what in arrows(table))
    leaving = {before for before, _ in table}
    yield from (f"    {state.name} --> [*]" for state in state_type if state not in leaving)
    yield "```\n"
    yield from meaning("state", state_type, meanings)
    yield from meaning("event", event_type, meanings)
    loops = list(unchanged(table))
    if loops:
        yield "| in state | these events change nothing |\n|---|---|"
        yield from (f"| {state} | {events} |" for state, events in loops)
        yield ""


def arrows(table: Table) -> Iterator[tuple[str, str, str]]:
    """Yield the transitions to another state: from, to, and the events."""
    for before in states(table):
        for after in states(table):
            events = [
                event.name
                for (state, event), result in table.items()
                if state is before and result is after
            ]
            if events and before is not after:
                yield before.name, after.name, ", ".join(events)


def unchanged(table: Table) -> Iterator[tuple[str, str]]:
    """Yield the states with events that do not change them, and these events."""
    for state in states(table):
        events = [
            event.name for (before, event), after in table.items() if before is after is state
        ]
        if events:
            yield state.name, ", ".join(events)


def states(table: Table) -> Iterable[Enum]:
    """Return all states of a table, in the order of their class."""
    return type(next(iter(table))[0])


def meaning(
    title: str, members: type[Enum], meanings: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    yield f"| {title} | meaning |\n|---|---|"
    yield from (
        f"| {member.name} | {meanings[members.__name__].get(member.name, '')} |"
        for member in members
    )
    yield ""


def main(arguments: list[str]) -> int:
    """Write the page, or check it; return the exit status."""
    text = page(tables(), comments(SOURCE.read_text()))
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text() == text:
            return 0
        print(f"{PAGE.relative_to(ROOT)} is out of date; run: python tools/diagrams.py")
        return 1
    if arguments:
        print(__doc__)
        return 2
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
