"""The checkout that the guards look at, and fresh interpreters in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.deadlines import EXCHANGE, HANG, stretched

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
