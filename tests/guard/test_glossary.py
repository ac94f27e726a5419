"""Retired words are not used; `docs/glossary.md` lists them with their replacements."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guard.checkout import compare, sources
from tests.support.checkout import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"

FOLDERS = {"prefork", "socketserver", "workers", "benchmarks", "tests", "tools"}
"""The folders in which names are checked."""

USER_FACING = {"prefork", "socketserver", "workers"}
"""The folders in which string literals are checked too, because users read them."""

ROW = re.compile(
    r'^\| [`"](?P<word>[^`"]+)[`"] \| (?P<kind>part|name|setting|phrase) \| (?P<better>.+) \|$'
)

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

FLAG = re.compile(r"--(?:no-)?([a-z][a-z-]*)|PREFORK_([A-Z_]+)")

LEFT: dict[str, str] = {}
"""The retired words that are still in use. This list may only become shorter."""


@dataclass(frozen=True)
class Retired:
    """The words of the table, by kind."""

    parts: dict[tuple[str, ...], str]
    """The replacement of each sequence of words in a name, in lower case."""
    names: dict[str, str]
    settings: dict[str, str]
    phrases: dict[str, str]

    def in_name(self, name: str) -> Iterator[str]:
        """Yield the retired words in an identifier."""
        if (whole := name.strip("_")) in self.names:
            yield whole
        words = words_of(name)
        for start in range(len(words)):
            for end in range(start + 1, len(words) + 1):
                if (part := words[start:end]) in self.parts:
                    yield "_".join(part)

    def in_text(self, text: str) -> Iterator[str]:
        text = " ".join(text.split()).lower()
        for phrase in self.phrases:
            if re.search(rf"(?<!\w){re.escape(phrase.lower())}(?!\w)", text):
                yield phrase


def read_retired(text: str) -> Retired:
    rows = [row for line in text.splitlines() if (row := ROW.match(line))]

    def of_kind(kind: str) -> dict[str, str]:
        return {row["word"]: row["better"] for row in rows if row["kind"] == kind}

    parts = {words_of(word): better for word, better in of_kind("part").items()}
    return Retired(parts, of_kind("name"), of_kind("setting"), of_kind("phrase"))


def words_of(name: str) -> tuple[str, ...]:
    """Split a name: `let_go`, `LetGo`, `LET_GO` and `let-go` give `("let", "go")`."""
    return tuple(word.lower() for word in WORD.findall(name))


def names_in(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module defines, but not those that it only uses."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.alias(asname=str(name)):
                yield name


def settings_in(tree: ast.AST) -> Iterator[str]:
    """Yield the settings that a module defines, and those whose flag or variable it contains."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == "Settings":
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field.target.id
    for text in strings_in(tree):
        if match := FLAG.fullmatch(text):
            yield (match[1] or match[2]).lower().replace("-", "_")


def strings_in(tree: ast.AST) -> Iterator[str]:
    """Yield the string literals of a module except docstrings, which are not shown to users."""
    unseen = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in unseen
        ):
            yield node.value


def uses(retired: Retired, path: Path, source: str) -> set[str]:
    """Return the retired words that a module uses, as `PATH: WORD`.

    Flags in tests are not checked: a test may use a retired one to see that it is refused.
    """
    tree = ast.parse(source)
    names = {*path.with_suffix("").parts, *names_in(tree)}
    words = {word for name in names for word in retired.in_name(name)}
    if path.parts[0] != "tests":
        words |= set(settings_in(tree)) & retired.settings.keys()
    if path.parts[0] in USER_FACING:
        words |= {word for text in strings_in(tree) for word in retired.in_text(text)}
    return {f"{path}: {word}" for word in words}


@pytest.fixture(scope="module")
def retired() -> Retired:
    return read_retired(GLOSSARY.read_text())


def test_no_retired_word_is_used(retired: Retired) -> None:
    paths = [path.relative_to(ROOT) for path in sources()]
    found = [
        use
        for path in paths
        if path.parts[0] in FOLDERS
        for use in uses(retired, path, (ROOT / path).read_text())
    ]
    assert not compare(found, LEFT)


def test_the_table_is_read(retired: Retired) -> None:
    rows = GLOSSARY.read_text().partition("## Retired words")[2].count("\n| ") - 1
    assert rows == sum(map(len, vars(retired).values()))
    assert retired.parts["own", "listeners"] == "`ReuseportSource`"
    assert retired.names["Host"] == "`ServerInMaster`"
    assert "for ever" in retired.phrases


def test_each_term_is_explained_once() -> None:
    text = GLOSSARY.read_text().partition("## Retired words")[0]
    terms = re.findall(r"^\| (?!term \||---)([^|]+) \|", text, re.MULTILINE)
    assert len(terms) > 50
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize(
    ("path", "line", "word"),
    [
        ("workers/loop.py", "class Heirloom: ...", "heirloom"),
        ("workers/loop.py", "def close(self, let_go=1): ...", "let_go"),
        ("workers/loop.py", "self._last_words = 1", "last_words"),
        ("tools/a.py", "OWNLISTENERS, OWN_LISTENERS = 1, 2", "own_listeners"),
        ("prefork/settings.py", "class Settings:\n    grace: float = 1.0", "grace"),
        ("prefork/cli/a.py", "parser.add_argument('--grace')", "grace"),
        ("prefork/cli/a.py", "os.environ['PREFORK_GRACE']", "grace"),
        ("prefork/forker.py", "", "forker"),
        ("prefork/master/a.py", "from prefork.master import children as crew", "crew"),
        ("prefork/master/a.py", "class Host: ...", "Host"),
        ("prefork/a.py", "logger.info('%d wait for ever', 1)", "for ever"),
        (
            "workers/a.py",
            "raise ValueError(f'{name} is a value that cannot be meant')",
            "cannot be meant",
        ),
    ],
)
def test_a_retired_word_is_found(retired: Retired, path: str, line: str, word: str) -> None:
    (found,) = uses(retired, Path(path), line)
    assert found == f"{path}: {word}"


def test_a_word_that_only_contains_a_retired_one_is_allowed(retired: Retired) -> None:
    source = (
        '"""Waits for ever."""\n'
        "host = years = forged = bearing = 1\n"
        "graceful_timeout = process_titles = talent = lets_go = 1\n"
        "asyncio.Host()\nlogger.info('forever')\n"
    )
    assert not uses(retired, Path("prefork/a.py"), source)
    assert not uses(retired, Path("tests/cli/a.py"), "run('--grace', '1')")
