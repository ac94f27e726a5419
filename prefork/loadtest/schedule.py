"""How the time is divided: one trial for each server in every round, there and back again."""

from __future__ import annotations

from collections.abc import Iterator

ROUNDS = (6, 4, 2)
"""Even numbers, so that slow changes of the machine affect all alike; fewer for many servers."""
LONG_ENOUGH = 0.25
"""Seconds of a trial that allow more rounds."""
ROOM = 2
"""How many times as long as its tail a trial should be."""
SHORTEST = 0.05
WARM_UP = 0.1
"""The part of each trial that is not counted."""


def rounds_for(seconds: float, servers: int, tail: float) -> int:
    """How many rounds fit into this many seconds.

    `tail` is about how long a trial continues after the last request has begun.
    """
    enough = max(LONG_ENOUGH, ROOM * tail)
    return next((n for n in ROUNDS if seconds / (n * servers) >= enough), ROUNDS[-1])


def trial_order(rounds: int, servers: int) -> Iterator[tuple[int, int]]:
    """The round and the server of each trial."""
    for round_ in range(rounds):
        places = range(servers)
        for place in reversed(places) if round_ % 2 else places:
            yield round_, place


def length_of(left: float, trials_left: int, tail: float) -> float:
    """Seconds for the next trial, when this many are left for this many trials, itself included.

    `tail` is by how much the last trial of this server was longer than planned: it waits for the
    requests in progress at its end.
    """
    share = left / trials_left
    return max(SHORTEST, share - tail, share / 4)
