"""The documentation: valid links, valid Python, every public name."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import prefork
from prefork.advice.recommendation import Advice
from tests.support.checkout import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
API = (DOCS / "api.md").read_text()

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that code hosts make for a page's headings."""
    headings = HEADING.findall(FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    """Yield the broken links of a page; links to other sites are not checked."""
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            yield target


def section(title: str) -> str:
    """Return a section of the API page, up to the next heading of its level."""
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", API, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not list(broken_links(page))


def test_a_link_to_a_missing_page_or_heading_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# What is `it`?\n[a](#what-is-it) [b](#what) [c](none.md) [d](https://example.org/x)\n"
        "[e](page.md#what-is-it)\n```\n# Not a heading\n[f](none.md)\n```\n[g](#not-a-heading)\n"
    )
    assert list(broken_links(page)) == ["#what", "none.md", "#not-a-heading"]


def test_the_index_of_the_manual_has_every_page() -> None:
    index = DOCS / "README.md"
    linked = {
        (DOCS / target.partition("#")[0]).resolve() for target in LINK.findall(index.read_text())
    }
    assert set(DOCS.rglob("*.md")) - linked == {index}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_examples_in_python_can_be_parsed(page: Path) -> None:
    for language, code in FENCED.findall(page.read_text()):
        if language == "python":
            ast.parse(code, name_of(page))


@pytest.mark.parametrize("name", prefork.__all__)
def test_every_public_name_is_in_the_api_page(name: str) -> None:
    assert re.search(rf"\b{name}\b", API)


def test_every_setting_is_described_with_its_default() -> None:
    described = {name: text.strip('`"') for name, text in ROW.findall(section("Settings"))}
    assert described == {
        field.name: str(field.default).removesuffix(".0")
        for field in dataclasses.fields(prefork.Settings)
    }


def test_every_field_of_a_status_and_of_an_advice_is_described() -> None:
    for kind, title in ((prefork.WorkerStatus, "WorkerStatus"), (Advice, "prefork.advice")):
        named = re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE)
        assert named == [field.name for field in dataclasses.fields(kind)]
