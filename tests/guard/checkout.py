"""The checkout that the guards look at, and fresh interpreters in it."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.deadlines import HANG

NO_SOURCE = ("build", "dist")


def fresh(code: str, *arguments: str, folder: Path = ROOT) -> str:
    """What *code* prints in a fresh interpreter that was started in *folder*.

    As in any program started there, the folder comes first on the path; PYTHON... variables of
    the environment say nothing in it. A failure of the code is a failure of the test, with what
    was printed.
    """
    answer = subprocess.run(
        [sys.executable, "-E", "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout
    return answer.stdout.strip()


def sources() -> Iterator[Path]:
    """Every Python file of the checkout, once, under its own name and not that of a link."""
    for folder in sorted(ROOT.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in NO_SOURCE:
            yield from sources_below(folder)


def sources_below(folder: Path) -> Iterator[Path]:
    """The Python files in a folder and below it, without those behind links."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from sources_below(path)
        elif path.suffix == ".py":
            yield path


def compare(found: Iterable[str], left: Mapping[str, str]) -> str:
    """What breaks a rule and is not known to, and what is known to and does not break it any more.

    Each entry of `left` has the reason why it is still there. The list may only become shorter, so
    an entry that is out of date fails the test as well. Empty when both agree.
    """
    found = set(found)
    new = [f"new: {one}" for one in sorted(found - left.keys())]
    stale = [f"gone, remove it from the list: {one}" for one in sorted(left.keys() - found)]
    return "\n".join(new + stale)
