"""The strategies: which process takes a request, and how the request reaches a worker.

There is a class for each value of `strategy`. It has two parts: a dispatcher, which determines what
the master does with requests, and the listeners at which they arrive. The worker's part is its
source, in `workers/sources/`.
"""

from __future__ import annotations

from prefork.master.strategies.accept import Accept
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.fork import Fork
from prefork.master.strategies.handoff import Handoff
from prefork.master.strategies.reuseport import Reuseport
from prefork.settings import Settings, StrategyName

STRATEGIES: dict[StrategyName, type[Strategy]] = {
    "accept": Accept,
    "fork": Fork,
    "handoff": Handoff,
    "reuseport": Reuseport,
}


def strategy_of(settings: Settings) -> type[Strategy]:
    """Return the class that implements the strategy in the settings."""
    return STRATEGIES[settings.strategy].variant(settings)
