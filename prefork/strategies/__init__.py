"""Who takes a request, and how it comes to a worker: a class for each answer."""

from __future__ import annotations

from prefork.settings import StrategyName
from prefork.strategies.accept import Accept
from prefork.strategies.base import Strategy
from prefork.strategies.fork import Fork
from prefork.strategies.handoff import Handoff

STRATEGIES: dict[StrategyName, type[Strategy]] = {
    "accept": Accept,
    "fork": Fork,
    "handoff": Handoff,
}
