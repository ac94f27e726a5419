"""The files of a run, in the folder that --output names."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from prefork.cli.outcomes import Refusal


def make_folder(folder: Path, name: str) -> None:
    """Create the folder and the JSON file, before anything is measured.

    Errors: `Refusal` if the folder cannot be created or is not writable.
    """
    with _refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").touch()


def write(
    folder: Path, name: str, content: object, draw: Callable[[Path], object], extra: str
) -> str:
    """Write JSON and PNG; return a sentence that names the files, or says why there is no PNG.

    `extra` is the extra of this package that installs matplotlib.

    Errors: `Refusal`.
    """
    file, picture = folder / f"{name}.json", folder / f"{name}.png"
    with _refused(folder):
        file.write_text(json.dumps(content, indent=1) + "\n")
        if not can_draw():
            return f"Written to {file}. A PNG needs matplotlib: pip install 'prefork[{extra}]'."
        draw(picture)
    return f"Written to {file} and {picture}."


def can_draw() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


@contextlib.contextmanager
def _refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal(f"--output {str(folder)!r} is not writable: {error.strerror}.") from None
