"""Events whose time is known in advance."""

from __future__ import annotations

Timer = tuple[float, int, float, float]
"""The time; the number of the worker one of whose requests has waited long enough, or one of the
events below; and two figures that belong to it."""

LOOK = -1  # the policy looks at the load
SETTLE = -2  # there were surplus workers, and none was idle
READY = -3  # a worker has started; its number
RETRY = -4  # a client tries again; how often it has tried, and when its request arrived
ASK = -5  # a client's pause has ended
CLIENTS = -6  # the number of clients changes; the new number
OPEN = -7  # the warm-up has ended
CLOSE = -8  # no more requests arrive
NEVER = -9  # at infinity, so that the list is never empty
