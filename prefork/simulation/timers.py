"""Events whose time is known in advance."""

from __future__ import annotations

Timer = tuple[float, int, float, float]
"""The time; the number of a worker one of whose requests has finished waiting, or one of the
events below; and two figures that belong to it."""

LOOK = -1  # the policy looks at the load
SETTLE = -2  # surplus workers are left, since not enough were idle
READY = -3  # a worker is ready; its number
RETRY = -4  # a client tries again; the number of tries, and when its request arrived
ASK = -5  # a client's pause has ended
CLIENTS = -6  # the number of clients changes; the new number
OPEN = -7  # the warm-up has ended
CLOSE = -8  # no more requests arrive
NEVER = -9  # at time infinity, so that the list is never empty
