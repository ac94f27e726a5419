"""How the command ends: exit codes, and the sentence that says why nothing was begun."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of the command, as its help explains them."""

    DONE = 0
    """Stopped, and nobody who was waiting was lost."""
    FORCED = 1
    """Workers were killed, for a second signal came or the grace was over; or a hook of the server
    failed in the master."""
    REFUSED = 2
    """A wrong argument, or what it names cannot be had; nothing was served."""
    NO_WORKER = 3
    """No worker could start."""
    INTERRUPTED = 130
    """Ctrl-C before there was anything to stop; shells count signals from 128."""


class Refusal(Exception):
    """What was asked for cannot be done; the message is one sentence that says what and where."""


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """` Did you mean ...?` with the nearest of the names, or nothing if none is near."""
    near = difflib.get_close_matches(word, list(names), 1, 0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
