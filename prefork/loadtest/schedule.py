"""How the time is shared: every cell has its turn in each round, there and back again."""

from __future__ import annotations

from collections.abc import Iterator

ROUNDS = (6, 4, 2)
"""Even numbers, so that the machine's slow changes hit all alike; fewer for many cells."""
LONG_ENOUGH = 0.25
"""Seconds of a turn from which on there can be more rounds."""
ROOM = 2
"""How many times as long as its tail a turn should be."""
SHORTEST = 0.05
WARM_UP = 0.1
"""The part of each turn that is not counted."""


def rounds_for(seconds: float, cells: int, tail: float) -> int:
    """How often each of so many cells has its turn in so many seconds.

    `tail` is about how long a turn goes on when no request begins any more.
    """
    enough = max(LONG_ENOUGH, ROOM * tail)
    return next((n for n in ROUNDS if seconds / (n * cells) >= enough), ROUNDS[-1])


def turns(rounds: int, cells: int) -> Iterator[tuple[int, int]]:
    """The round and the cell of each turn."""
    for round_ in range(rounds):
        places = range(cells)
        for place in reversed(places) if round_ % 2 else places:
            yield round_, place


def length_of(left: float, turns_left: int, tail: float) -> float:
    """Seconds for the next turn when so many are left for so many turns, this one included.

    `tail` is what the last turn of this cell took longer than it should have: requests that were
    under way at its end are waited for.
    """
    share = left / turns_left
    return max(SHORTEST, share - tail, share / 4)
