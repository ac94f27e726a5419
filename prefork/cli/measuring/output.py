"""The files of a run, in the folder that was asked for."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from prefork.cli.outcomes import Refusal


def make_room(folder: Path, name: str) -> None:
    """Make the folder. Errors: `Refusal` when that cannot be, or nothing can be written there."""
    with _in_words(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").touch()


def write(
    folder: Path, name: str, content: object, draw: Callable[[Path], object], extra: str
) -> str:
    """Write JSON and PNG; the sentence says where they are, or why not.

    `extra` is what to install of this package where there is no matplotlib.

    Errors: `Refusal`.
    """
    file, picture = folder / f"{name}.json", folder / f"{name}.png"
    with _in_words(folder):
        file.write_text(json.dumps(content, indent=1) + "\n")
        if not can_draw():
            return (
                f"Written to {file}. There is no PNG without matplotlib: "
                f"pip install 'prefork[{extra}]'."
            )
        draw(picture)
    return f"Written to {file} and {picture}."


def can_draw() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


@contextlib.contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal(f"--output {str(folder)!r} cannot be written to: {error.strerror}.") from None
