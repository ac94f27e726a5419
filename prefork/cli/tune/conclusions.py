"""Derives the advice from the measurements, without any process or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prefork.advice import usl
from prefork.advice.forecast import Forecast, Sample
from prefork.advice.noise import completed
from prefork.advice.phrasing import counted, in_bytes, shown
from prefork.advice.queueing import Queue
from prefork.advice.recommendation import (
    BUSIEST,
    Advice,
    Choice,
    Point,
    Prediction,
    Profile,
    Resources,
    advice,
    capacity,
    enough_for_cores,
    knee,
    least_for_target,
    most_throughput,
)
from prefork.loadtest.trials import Summary

PART = 0.8
"""The expected rate as a share of what the pool can serve, unless an option sets the rate. Above it
the queue grows fast, so a higher rate should not be planned for."""


@dataclass(frozen=True)
class Baseline:
    """The measurements with one worker."""

    profile: Profile
    sample: Sample


@dataclass(frozen=True)
class Size:
    """The measurements with one number of workers."""

    workers: int
    summary: Summary
    """The summary of the undisturbed trials; its requests and failures are those of all trials."""
    clients_cores: float
    """Cores that the clients used at the same time."""
    memory: int | None
    """Memory of each worker, in bytes."""


@dataclass(frozen=True)
class Requirements:
    """What the advice is for."""

    p99: float | None
    """Seconds within which 99 % of the requests must be answered; `None` to maximize throughput."""
    rate: float | None
    """Expected requests per second; `None` if unknown."""
    resources: Resources
    elsewhere: bool
    """Whether the resources are those of a machine other than the measured one."""


@dataclass(frozen=True)
class Conclusions:
    """The advice, and everything that led to it."""

    profile: Profile
    resources: Resources
    """The resources of this machine."""
    best: Choice
    """The knee of the sweep."""
    fit: usl.Fit | None
    rate: float
    """The rate that the predictions assume, in requests per second."""
    predictions: Mapping[int, Prediction]
    """The prediction for each number of workers that was simulated at this rate."""
    model: Queue
    """The prediction of queueing theory for the advised number of workers."""
    advice: Advice


class CachedForecast:
    """A forecast that simulates each number once."""

    def __init__(self, forecast: Forecast) -> None:
        self._forecast = forecast
        self.predictions: dict[int, Prediction] = {}

    def __call__(self, workers: int) -> Prediction:
        if workers not in self.predictions:
            self.predictions[workers] = self._forecast(workers)
        return self.predictions[workers]


def conclude(
    sizes: Sequence[Size],
    baseline: Baseline,
    here: Resources,
    requirements: Requirements,
    threads: int,
) -> Conclusions:
    """Derive the advice from the measurements.

    At least one size must have served without a failure. Each worker serves `threads` requests
    concurrently (0: no limit).
    """
    there = requirements.resources
    served = [size for size in sizes if size.summary.rate.value and not size.summary.failures]
    points = points_of(served)
    knee_size = max(served, key=lambda size: size.summary.rate.value)
    # Measured under load: a single worker finds cold caches, and pages that workers share are
    # included in its memory alone.
    weighed = [size.memory for size in sizes if size.memory is not None]
    cpu = knee_size.summary.cpu.value / 1000
    profile = baseline.profile._replace(
        service=baseline.profile.service - baseline.profile.cpu + cpu,
        cpu=cpu,
        memory=weighed[-1] if weighed else None,
    )
    best = most_throughput(points, profile, here)
    rate = requirements.rate or PART * (
        _capacity(profile, there)
        if requirements.elsewhere
        else at_most(best.workers, served).summary.rate.value
    )
    sample = baseline.sample.with_cpu(profile.cpu / baseline.profile.cpu)
    predict = CachedForecast(Forecast(sample, there, rate, threads))
    if requirements.p99 is not None or requirements.rate is not None:
        choice = least_for_target(requirements.p99, rate, predict, profile, there)
    elif requirements.elsewhere:
        choice = enough_for_cores(profile, there)
    else:
        choice = best
    prediction = predict(choice.workers)
    if not requirements.elsewhere:
        for point in points:
            if rate <= BUSIEST * capacity(point.workers, profile, here):
                predict(point.workers)
    if requirements.elsewhere:
        choice = replace(choice, reasons=(*choice.reasons, *_for_elsewhere(choice, profile, there)))
    elif rate > knee_size.summary.rate.value:
        doubt = (
            f"No number of workers served more than {shown(knee_size.summary.rate.value)} "
            "requests/s here, next to the clients; higher rates are simulated."
        )
        choice = replace(choice, reasons=(*choice.reasons, doubt))
    return Conclusions(
        profile,
        here,
        best,
        _fit(points, profile, here, knee_size.clients_cores / knee_size.summary.rate.value),
        rate,
        predict.predictions,
        _model(choice.workers, rate, profile, there),
        advice(choice, profile, there, rate, prediction.queue, threads != 1),
    )


def points_of(sizes: Sequence[Size]) -> list[Point]:
    """Return the points of the sweep; see `completed()` for those with few trials."""
    rates = completed([size.summary.rate for size in sizes])
    return [Point(size.workers, rate) for size, rate in zip(sizes, rates, strict=True)]


def at_most(workers: int, sizes: Sequence[Size]) -> Size:
    """Return the largest size with at most this many workers, or else the smallest size.

    The advice may be between two sizes, if less memory is left at the end than earlier.
    """
    fitting = [size for size in sizes if size.workers <= workers]
    return max(fitting, key=lambda size: size.workers) if fitting else sizes[0]


def _capacity(profile: Profile, resources: Resources) -> float:
    room = resources.room(profile)
    return capacity(knee(profile, resources) if room is None else room, profile, resources)


def _for_elsewhere(choice: Choice, profile: Profile, resources: Resources) -> list[str]:
    reasons = [
        f"Simulated for {counted(resources.cores, 'core')}, each as fast as one here, assuming "
        "that what handlers wait for responds equally fast at any rate."
    ]
    if (room := resources.room(profile)) is not None and choice.workers < room:
        assert resources.memory is not None
        assert profile.memory is not None
        reasons.append(
            f"{in_bytes(resources.memory)} has room for {counted(room, 'worker')} of "
            f"{in_bytes(profile.memory)}."
        )
    return reasons


def _fit(
    points: Sequence[Point], profile: Profile, resources: Resources, client_cpu: float
) -> usl.Fit | None:
    """Fit the curve; `client_cpu` is the CPU that a client uses per request, in seconds."""
    in_flight = [point._replace(workers=point.workers * profile.slots) for point in points]
    return usl.fit(in_flight, profile.service, profile.cpu + client_cpu, resources.cores)


def _model(workers: int, rate: float, profile: Profile, resources: Resources) -> Queue:
    """Return the queueing model, in which workers beyond the knee wait for cores: no servers."""
    servers = min(workers, knee(profile, resources)) * profile.slots
    return Queue(rate, profile.service, servers, profile.spread)
