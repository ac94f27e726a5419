"""Predicts how a pool would perform at a given rate, by simulation from measurements.

The prediction may be for another machine. It assumes that a core of that machine is as fast as one
of this machine, that what handlers wait for (a database, another server) answers equally fast at
any rate, and that workers do not slow each other down.
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
"""Requests to simulate: the slowest 1 % are 200, enough for a p99 accurate to a few percent."""
SHORTEST = 100
"""The minimum length of a simulation, in mean service times."""
WARM_UP = 0.1
"""The part of the time that is not counted, because the pool starts idle."""
LEAST_PART = 0.05
"""The shortest service time of a request, as a part of the mean."""


@dataclass(frozen=True)
class Sample:
    """Requests that were measured one after the other."""

    services: Sequence[Service]
    outside: float
    """Seconds of an exchange during which it occupies the client and the kernel, but no worker."""

    @classmethod
    def of(cls, latencies: Histogram, service: float, cpu: float, outside: float) -> Sample:
        """Make a sample from the exchanges of a single client.

        On average, a request occupies a worker for `service` seconds, `cpu` of them on a core. The
        rest of an exchange, and the share of CPU, are assumed to be the same for all requests.
        """
        rest = max(0.0, latencies.mean - service)
        share = min(1.0, cpu / service)
        alone = [max(LEAST_PART * service, each - rest) for each in latencies.durations()]
        return cls([Service(share * each, (1 - share) * each) for each in alone], outside)

    def with_cpu(self, times: float) -> Sample:
        """Return the same requests with their CPU time multiplied by `times`."""
        services = [Service(times * service.cpu, service.wait) for service in self.services]
        return Sample(services, self.outside)

    @property
    def spread(self) -> float:
        """The standard deviation of the service times, divided by their mean."""
        times = [sum(service) for service in self.services]
        return pstdev(times) / fmean(times)


@dataclass(frozen=True)
class Forecast:
    """Predicts how a number of workers performs with random arrivals, `rate` per second."""

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
            # The queue behind a request consists of those that arrived while it waited (Little).
            math.ceil(self.rate * outcome.waits.quantile(HELD)),
        )
