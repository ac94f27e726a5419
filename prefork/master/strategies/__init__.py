"""Which process takes a request and how it reaches a worker: a class for each `strategy`.

Each class has two parts: a dispatcher, which is what the master does with requests, and listeners,
which are where they arrive. A worker's part is its source, in `workers/sources/`.
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
    """Return the class that does what the settings say."""
    return STRATEGIES[settings.strategy].variant(settings)
