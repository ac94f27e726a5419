"""How the command ends: exit codes, and the error that says why nothing was started."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of the command, as its help explains them."""

    DONE = 0
    """Stopped after serving every waiting request."""
    FORCED = 1
    """Workers were killed, because of a second signal or the graceful timeout, or a hook of the
    server failed in the master."""
    REFUSED = 2
    """An argument is invalid or names something unavailable; nothing was served."""
    NO_WORKER = 3
    """No worker could start."""
    INTERRUPTED = 130
    """Ctrl-C before anything was served; shells add 128 to the number of a signal."""


class Refusal(Exception):
    """The command cannot do what was asked; the message is a sentence that says what and where."""


def did_you_mean(
    word: str, names: Iterable[str], most: int = 1, shown: Callable[[str], str] = repr
) -> str:
    """Return ` Did you mean ...?` with the nearest of the names, at most `most` of them.

    The text is empty if none is near. Case does not matter. A name that contains the word is also
    near: `titles` suggests `process-titles`.
    """
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), list(by_lower), most, 0.6)
    negative = "--no-" if word.startswith("--no-") else ""
    part = word.lower().removeprefix(negative).lstrip("-")
    contain = [name for name in by_lower if name.startswith(negative) and part in name][:most]
    if len(part) < 4:
        contain = []
    # For a flag: `--grace` is closer to `--name`, by its letters, than to `--graceful-timeout`.
    near = (contain or close) if word.startswith("-") else (close or contain)
    return f" Did you mean {' or '.join(shown(by_lower[name]) for name in near)}?" if near else ""
