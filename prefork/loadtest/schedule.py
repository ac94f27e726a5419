"""Divides the time into rounds, with one trial for each server in alternating order."""

from __future__ import annotations

from collections.abc import Iterator

ROUNDS = (6, 4, 2)
"""Even numbers, so that slow changes of the machine affect all servers equally; fewer for many."""
LONG_ENOUGH = 0.25
"""Seconds that a trial must have before there are more rounds."""
ROOM = 2
"""The minimum length of a trial, as a multiple of its tail."""
SHORTEST = 0.05
WARM_UP = 0.1
"""The part of each trial that is not counted."""


def rounds_for(seconds: float, servers: int, tail: float) -> int:
    """Return the number of rounds that fit into `seconds`.

    `tail` is the estimated time for which a trial continues after its last request has begun.
    """
    enough = max(LONG_ENOUGH, ROOM * tail)
    return next((n for n in ROUNDS if seconds / (n * servers) >= enough), ROUNDS[-1])


def trial_order(rounds: int, servers: int) -> Iterator[tuple[int, int]]:
    """Yield the round and the server of each trial."""
    for round_ in range(rounds):
        places = range(servers)
        for place in reversed(places) if round_ % 2 else places:
            yield round_, place


def length_of(left: float, trials_left: int, tail: float) -> float:
    """Return the seconds for the next trial; `left` seconds are left for `trials_left` trials.

    These include the next trial. `tail` is the time by which the last trial of this server was
    longer than planned: a trial waits for the requests in progress at its end.
    """
    share = left / trials_left
    return max(SHORTEST, share - tail, share / 4)
