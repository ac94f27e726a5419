"""The files of the checkout, and fresh interpreters in it."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.deadlines import EXCHANGE, HANG, stretched

NO_SOURCE = ("build", "dist")


def fresh(code: str, *arguments: str, folder: Path = ROOT) -> str:
    """Return what `code` prints in a fresh interpreter that is started in `folder`.

    As in any program started there, the folder comes first on the path. PYTHON... variables of the
    environment have no effect. If the code fails, the test fails with its output.
    """
    answer = subprocess.run(
        [sys.executable, "-E", "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PREFORK_TEST_DEADLINE": str(stretched(EXCHANGE))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=stretched(HANG),
        check=False,
    )
    assert answer.returncode == 0, answer.stdout
    return answer.stdout.strip()


def sources() -> Iterator[Path]:
    """Yield every Python file of the checkout once, not through links."""
    for folder in sorted(ROOT.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in NO_SOURCE:
            yield from sources_below(folder)


def sources_below(folder: Path) -> Iterator[Path]:
    """Yield the Python files in a folder and below it, not through links."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from sources_below(path)
        elif path.suffix == ".py":
            yield path


def compare(found: Iterable[str], left: Mapping[str, str]) -> str:
    """Return what breaks a rule and is not in `left`, and what is in `left` but breaks none.

    Each entry of `left` has the reason why it is still there. The list may only become shorter, so
    an entry that is out of date fails the test as well. The returned string is empty when there is
    neither.
    """
    found = set(found)
    new = [f"new: {one}" for one in sorted(found - left.keys())]
    stale = [f"gone, remove it from the list: {one}" for one in sorted(left.keys() - found)]
    return "\n".join(new + stale)
