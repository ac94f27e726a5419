"""What a pool would do at some rate, here or on another machine: simulated from measurements.

It assumes that a core there is as fast as one here, that what handlers wait for (a database,
another server) answers as fast at any rate, and that workers do not slow each other down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from prefork.advice.recommendation import HELD, Prediction, Resources
from prefork.simulation import Poisson, Scenario, Service, simulate
from prefork.state.histogram import Histogram

REQUESTS = 20_000
"""The slowest hundredth of them is two hundred, which gives the p99 to a few percent."""
SHORTEST = 100
"""Service times to simulate at least."""
WARM_UP = 0.1
"""The part of the time that is not counted: the pool begins idle."""
LEAST_PART = 0.05
"""Of the mean service time: no request counts as shorter than that."""


@dataclass(frozen=True)
class Sample:
    """Requests that were measured one by one."""

    services: Sequence[Service]
    outside: float
    """Seconds of an exchange in which it occupies no worker but the client and the kernel."""

    @classmethod
    def of(cls, latencies: Histogram, service: float, cpu: float, outside: float) -> Sample:
        """From the exchanges of a single client, of which a request occupies a worker for `service`
        seconds on average, `cpu` of these on a core.

        The rest of an exchange, and the share of CPU, are assumed to be the same for all.
        """
        rest = max(0.0, latencies.mean - service)
        share = min(1.0, cpu / service)
        alone = [max(LEAST_PART * service, each - rest) for each in latencies.durations()]
        return cls([Service(share * each, (1 - share) * each) for each in alone], outside)

    def with_cpu(self, times: float) -> Sample:
        """The same requests with this many times the CPU each; they wait for as long."""
        services = [Service(times * service.cpu, service.wait) for service in self.services]
        return Sample(services, self.outside)

    @property
    def spread(self) -> float:
        """The standard deviation of the service times over their mean."""
        times = [sum(service) for service in self.services]
        return pstdev(times) / fmean(times)


@dataclass(frozen=True)
class Forecast:
    """Predicts what a number of workers does with random arrivals, `rate` a second."""

    sample: Sample
    resources: Resources
    rate: float
    threads: int = 1
    """Concurrent requests in each worker; 0: no limit."""

    def __call__(self, workers: int) -> Prediction:
        mean = fmean(sum(service) for service in self.sample.services)
        seconds = max(REQUESTS / self.rate, SHORTEST * mean)
        outcome = simulate(
            Scenario(
                arrivals=Poisson(self.rate),
                services=self.sample.services,
                workers=workers,
                threads=self.threads,
                cores=self.resources.cores,
                seconds=seconds,
                warm_up=WARM_UP * seconds,
            )
        )
        return Prediction(
            outcome.throughput,
            outcome.latencies.quantile(0.99) + self.sample.outside,
            # The queue behind a request consists of those that came while it waited (Little).
            math.ceil(self.rate * outcome.waits.quantile(HELD)),
        )
