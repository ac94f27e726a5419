"""A simulated pool, which predicts the throughput and the latencies of a real one.

    outcome = simulate(
        Scenario(
            arrivals=Poisson(1_000),
            services=[Service(cpu=0.004, wait=0.015), Service(cpu=0.006, wait=0.020)],
            workers=64,
            cores=64,
            seconds=60,
        )
    )
    outcome.throughput, outcome.latencies.quantile(0.99)

`engine.py` describes what the model includes and what it omits. Times are in seconds, memory in
bytes.
"""

from prefork.simulation.arrivals import Closed, Given, Poisson
from prefork.simulation.engine import simulate
from prefork.simulation.outcome import Decided, Outcome
from prefork.simulation.scenario import Scenario, ScenarioError, Service, Services
from prefork.state.histogram import Histogram

__all__ = [
    "Closed",
    "Decided",
    "Given",
    "Histogram",
    "Outcome",
    "Poisson",
    "Scenario",
    "ScenarioError",
    "Service",
    "Services",
    "simulate",
]
