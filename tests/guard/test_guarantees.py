"""`docs/guarantees.md` names only tests that exist, and every test of a numbered rule."""

import ast
import re

from tests.guard.checkout import sources_below
from tests.support.checkout import ROOT

TEXT = (ROOT / "docs" / "guarantees.md").read_text()
SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
NUMBERED = re.compile(r"test_rule_(\d+)_\w+")


def named(text: str) -> list[str]:
    return re.findall(r"^- `(test_\w+)`$", text, re.MULTILINE)


def existing() -> set[str]:
    """Return the names of all test functions below `tests/`."""
    return {
        node.name
        for path in sources_below(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_is_named_exists() -> None:
    assert not set(named(TEXT)) - existing()


def test_no_test_of_a_numbered_rule_is_missing() -> None:
    numbered = {name for name in existing() if NUMBERED.fullmatch(name)}
    assert len(numbered) > 17
    assert not numbered - set(named(TEXT))


def test_each_rule_is_a_sentence_with_its_own_tests() -> None:
    sections = dict(SECTION.findall(TEXT))
    numbers = [title.removeprefix("Rule ") for title in sections if title.startswith("Rule ")]
    assert numbers == [str(number) for number in range(1, 18)]
    for number in numbers:
        text = sections[f"Rule {number}"]
        found = [NUMBERED.fullmatch(name) for name in named(text)]
        assert found
        assert {match and match[1] for match in found} == {number}


def test_each_guarantee_has_a_test() -> None:
    for title, text in SECTION.findall(TEXT):
        blocks = text.strip().split("\n\n")
        assert len(blocks) % 2 == 0, title
        assert all(map(named, blocks[1::2])), title
        assert not any(map(named, blocks[::2])), title
