"""Who takes a request, and how it comes to a worker: a class for each answer."""

from __future__ import annotations

from prefork.master.strategies.accept import Accept
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.fork import Fork, ForkAhead
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
    """The class that does what the settings say."""
    if settings.strategy == "fork" and settings.fork_ahead:
        return ForkAhead
    return STRATEGIES[settings.strategy]
