"""What a pool would do at a rate, here or on another machine: simulated from what was measured.

It takes for granted that a core there is as fast as one here, that what handlers wait for (a
database, another server) answers as fast at any rate, and that workers do not hinder each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from prefork.advice.recommendation import HELD, Place, Prediction
from prefork.simulation import Poisson, Scenario, Service, simulate

REQUESTS = 20_000
"""Of which the slowest hundredth is two hundred: their least is known to a few percent."""
SHORTEST = 100
"""Service times that are simulated at least."""
WARM_UP = 0.1
"""The part of the time that is not counted: the pool begins idle."""
LEAST_PART = 0.05
"""Of the mean service time: no request is taken to be shorter than that."""


@dataclass(frozen=True)
class Sample:
    """Requests that were measured one by one."""

    services: Sequence[Service]
    outside: float
    """Seconds of an exchange in which it occupies no worker: of the client and the kernel."""

    @classmethod
    def of(cls, took: Sequence[float], service: float, cpu: float, outside: float) -> Sample:
        """From the seconds that exchanges of a single client took, when a request occupies a worker
        for `service` of them on average, `cpu` of these on a core.

        What is more is the same for all; the share of CPU is taken to be, too.
        """
        more = max(0.0, fmean(took) - service)
        share = min(1.0, cpu / service)
        alone = [max(LEAST_PART * service, each - more) for each in took]
        return cls([Service(share * each, (1 - share) * each) for each in alone], outside)

    def with_cpu(self, times: float) -> Sample:
        """The same requests, but each costs so many times the CPU; they wait for as long."""
        services = [Service(times * service.cpu, service.wait) for service in self.services]
        return Sample(services, self.outside)

    @property
    def spread(self) -> float:
        """The standard deviation of the service times over their mean."""
        times = [sum(service) for service in self.services]
        return pstdev(times) / fmean(times)


@dataclass(frozen=True)
class Forecast:
    """What comes of numbers of workers, when clients come at random, `rate` a second."""

    sample: Sample
    place: Place
    rate: float
    threads: int = 1
    """Requests in each worker at a time; 0: any number."""

    def __call__(self, workers: int) -> Prediction:
        mean = fmean(sum(service) for service in self.sample.services)
        seconds = max(REQUESTS / self.rate, SHORTEST * mean)
        outcome = simulate(
            Scenario(
                arrivals=Poisson(self.rate),
                services=self.sample.services,
                workers=workers,
                threads=self.threads,
                cores=self.place.cores,
                seconds=seconds,
                warm_up=WARM_UP * seconds,
            )
        )
        return Prediction(
            outcome.throughput,
            outcome.latencies.quantile(0.99) + self.sample.outside,
            # Who is taken sees those behind him who came while he waited (Little's law).
            math.ceil(self.rate * outcome.waits.quantile(HELD)),
        )
