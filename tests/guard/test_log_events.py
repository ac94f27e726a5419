"""The log records of the library: each has an event, which the manual describes."""

import ast
import logging
import re
from collections.abc import Iterator

from tests.guard.checkout import sources_below
from tests.support.checkout import ROOT

LIBRARY = ("prefork/master", "prefork/state", "prefork/linux", "workers", "socketserver")

PAGE = (
    (ROOT / "docs" / "production.md").read_text().partition("### Events")[2].partition("\n## ")[0]
)

RESERVED = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
"""The attributes of every record, which `extra` must not replace (`logging` raises KeyError)."""


def trees() -> Iterator[ast.AST]:
    for folder in LIBRARY:
        for path in sources_below(ROOT / folder):
            yield ast.parse(path.read_text(), str(path))


def records(tree: ast.AST) -> Iterator[dict[str, ast.expr]]:
    """Yield the attributes of the log records in a module: the dictionaries with an event."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found = {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
            if "event" in found:
                yield found


def events(tree: ast.AST) -> Iterator[str]:
    """Yield the events that a module logs: in such a dictionary, or as an argument `event`."""
    named = [attributes["event"] for attributes in records(tree)]
    named += [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "event"
    ]
    yield from (str(each.value) for each in named if isinstance(each, ast.Constant))


def without_event(tree: ast.AST) -> Iterator[int]:
    """Yield the lines of a module that log through `logger` without `extra`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"), attr=method)) if (
                method in ("debug", "info", "warning", "error", "critical", "exception", "log")
                and not any(keyword.arg == "extra" for keyword in node.keywords)
            ):
                yield node.lineno


def test_every_event_is_described_with_its_attributes() -> None:
    described: dict[str, set[str]] = {}
    for names, attributes in re.findall(r"^\| (`.+?) \| (.*?) ?\| ", PAGE, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            described[name] = set(re.findall(r"`(\w+)`", attributes))
    logged: dict[str, set[str]] = {event: set() for tree in trees() for event in events(tree)}
    for tree in trees():
        for attributes in records(tree):
            event = attributes["event"]
            if isinstance(event, ast.Constant):
                logged[str(event.value)] |= attributes.keys() - {"event"}
    assert described == logged


def test_no_attribute_is_one_that_every_record_has() -> None:
    used = {name for tree in trees() for attributes in records(tree) for name in attributes}
    assert "slot" in used
    assert not used & RESERVED


def test_every_record_has_an_event() -> None:
    assert not [line for tree in trees() for line in without_event(tree)]


def test_a_record_without_an_event_and_a_reserved_attribute_are_found() -> None:
    tree = ast.parse(
        "logger.info('a')\nlogger.log(1, 'b', extra={'event': 'x', 'thread': 1})\n"
        "warn('c', event='y')\n"
    )
    assert list(without_event(tree)) == [1]
    assert sorted(events(tree)) == ["x", "y"]
    assert next(records(tree)).keys() & RESERVED == {"thread"}
