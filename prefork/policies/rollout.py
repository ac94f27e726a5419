"""Decides which workers of older generations are retired next."""

from __future__ import annotations

from collections.abc import Iterable

from prefork.policies.sizing.steps import to_retire
from prefork.workers.protocol.scoreboard import Reading


def to_replace(
    outdated: Iterable[tuple[int, Reading]], missing: int, max_unavailable: int
) -> list[int]:
    """Return the slots of workers to retire now, so that new ones can be forked: idle ones first.

    `outdated` are the serving workers of older generations, by slot; `missing` is the number of
    wanted workers that are not serving now. At most `max_unavailable` are missing at once.
    """
    surplus = max(0, max_unavailable - missing)
    return to_retire(outdated, surplus, busy_too=surplus)
