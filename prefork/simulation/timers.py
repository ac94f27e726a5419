"""What happens at a time that is known beforehand."""

from __future__ import annotations

Timer = tuple[float, int, float, float]
"""When; the number of the worker one of whose requests has waited long enough, or else one of the
events below; and two figures that belong to it."""

LOOK = -1  # of the policy
SETTLE = -2  # there are too many workers, and none was idle
READY = -3  # the worker of a number has started
RETRY = -4  # a client that was turned away, after so many tries; when it came first
ASK = -5  # a client has paused long enough
CLIENTS = -6  # so many clients from now on
OPEN = -7  # the warm-up is over
CLOSE = -8  # no more requests come
NEVER = -9  # stands at the end of time, so that there is always one
