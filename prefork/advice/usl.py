"""The Universal Scalability Law, for workers that share cores.

Gunther's law says how much n workers that run at the same time slow each other down: serving takes
1 + sigma (n - 1) + kappa n (n - 1) times as long. sigma is contention for what only one can use (a
lock, a disk, a database that serves one query after the other); kappa is coherence, what each must
agree on with every other (caches, run queues). See Gunther, "Guerrilla Capacity Planning", 2007,
chapters 4 to 6.

Its curve bends everywhere. That of a pool does not: each worker adds as much as the one before
until the cores are busy, and nothing after that. A law that ignores cores would attribute this knee
to losses that do not exist. So here n is the number of workers that really run, that is, are
neither idle nor queueing for a core, by the machine repairman of `queueing.py`. That model keeps to
both bounds, workers / service and cores / cpu. If sigma and kappa are 0, the law equals that model;
with unlimited cores it equals Gunther's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefork.advice.queueing import repairman
from prefork.advice.recommendation import Point

MOST_CONTENTION, MOST_COHERENCE = 1.0, 0.1
EXACT = 0.01
"""The minimum relative error of a rate."""


@dataclass(frozen=True)
class Law:
    """The rate as a function of the number of workers."""

    service: float
    """Seconds of a request, waiting and computing, with one worker."""
    cpu: float
    """Seconds of that on a core, including those of clients on the same machine."""
    cores: int
    sigma: float = 0.0
    kappa: float = 0.0

    def rate(self, workers: int) -> float:
        """Return the requests per second."""
        alone = repairman(workers, self.cores, self.cpu, self.service - self.cpu)
        running = alone * self.service
        contention = self.sigma * max(0.0, running - 1)
        # With every other worker, including those that queue for a core.
        coherence = self.kappa * workers * (workers - 1)
        return alone / (1 + contention + coherence)


@dataclass(frozen=True)
class Fit:
    """The law that fits the measurements best."""

    law: Law
    r2: float
    """The part of the variance of the rates that it explains, at most 1."""


def fit(points: Sequence[Point], service: float, cpu: float, cores: int) -> Fit | None:
    """Fit the law to these points; return `None` for fewer than three, which any law would fit.

    The measurement of a single request bounds the search: `service` seconds, of which `cpu` seconds
    on a core, including those of its client on the same machine.

    Errors: `ImportError` if scipy is missing.
    """
    import numpy
    from scipy.optimize import least_squares  # curve_fit() would also compute a covariance

    if len(points) < 3:
        return None
    rates = numpy.array([point.rate.value for point in points])
    off = numpy.maximum([point.rate.error for point in points], EXACT * rates)

    def law_of(found: Sequence[float]) -> Law:
        service, cpu, sigma, kappa = map(float, found)
        return Law(service, min(service, cpu), cores, sigma, kappa)

    def missed(found: Sequence[float]) -> Any:
        law = law_of(found)
        return rates - numpy.array([law.rate(point.workers) for point in points])

    # Without bounds, the fit would attribute waiting for a lock to CPU time.
    most = 1.5 * cpu
    low = [0.5 * service, 0.5 * cpu, 0, 0]
    high = [2 * max(service, cpu), most, MOST_CONTENTION, MOST_COHERENCE]
    # It starts from both sides: a law that saturates the cores, and one that never does.
    tries = [
        least_squares(
            lambda tried: missed(tried) / off,
            numpy.clip([service, start, 0.01, 1e-5], low, high),
            bounds=(low, high),
            x_scale=[service, cpu, 0.01, 1e-4],
        )
        for start in (cpu, min(service, 0.9 * most))
    ]
    found = min(tries, key=lambda tried: tried.cost).x
    spread = ((rates - rates.mean()) ** 2).sum()
    return Fit(law_of(found), float(1 - (missed(found) ** 2).sum() / spread) if spread else 1.0)
