"""From what was measured to the advice; nothing here touches a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from prefork.advice import usl
from prefork.advice.forecast import Forecast, Sample
from prefork.advice.phrasing import counted, in_bytes, shown
from prefork.advice.queueing import Queue
from prefork.advice.recommendation import (
    BUSIEST,
    Advice,
    Choice,
    Place,
    Point,
    Prediction,
    Profile,
    advice,
    capacity,
    enough_for_cores,
    knee,
    least_for_target,
    most_throughput,
)
from prefork.loadtest.trials import Summary

PART = 0.8
"""Of what the pool can serve: the rate that is expected, unless one is said. Nobody plans for
more, for beyond it the queue grows fast."""


@dataclass(frozen=True)
class Alone:
    """What was measured with one worker."""

    profile: Profile
    sample: Sample


@dataclass(frozen=True)
class Size:
    """One number of workers, measured."""

    workers: int
    summary: Summary
    clients_cores: float
    """Cores that the clients took beside it."""
    memory: int | None
    """Bytes of each worker."""
    quiet_turns: int
    """Turns that were not disturbed."""


@dataclass(frozen=True)
class Wish:
    """What the advice is for."""

    p99: float | None
    """Seconds within which 99 % of the requests shall be answered; `None`: the most throughput."""
    rate: float | None
    """Requests a second that are expected; `None`: not said."""
    place: Place
    elsewhere: bool
    """Whether that is another machine than the one that was measured."""


@dataclass(frozen=True)
class Conclusions:
    """What all of it comes to."""

    profile: Profile
    place: Place
    """Of this machine."""
    best: Choice
    """The knee of the sweep."""
    fit: usl.Fit | None
    rate: float
    """Requests a second for which the predictions are."""
    predictions: Mapping[int, Prediction]
    """Of the numbers of workers that were simulated at this rate."""
    model: Queue
    """The same by queueing theory, for the number that is advised."""
    advice: Advice


class Remembering:
    """A forecast that remembers what it was asked."""

    def __init__(self, forecast: Forecast) -> None:
        self._forecast = forecast
        self.answers: dict[int, Prediction] = {}

    def __call__(self, workers: int) -> Prediction:
        if workers not in self.answers:
            self.answers[workers] = self._forecast(workers)
        return self.answers[workers]


def conclude(
    sizes: Sequence[Size], alone: Alone, here: Place, wish: Wish, threads: int
) -> Conclusions:
    """The advice for what was measured, of which one size at least has served without a failure;
    each worker takes so many `threads` requests at a time (0: any number)."""
    served = [size for size in sizes if size.summary.rate.value and not size.summary.failures]
    points = points_of(served)
    knee_size = max(served, key=lambda size: size.summary.rate.value)
    # Where it matters: alone, nothing of a request is in the caches, and pages that all share count
    # for one.
    weighed = [size.memory for size in sizes if size.memory is not None]
    cpu = knee_size.summary.cpu.value / 1000
    profile = alone.profile._replace(
        service=alone.profile.service - alone.profile.cpu + cpu,
        cpu=cpu,
        memory=weighed[-1] if weighed else None,
    )
    best = most_throughput(points, profile, here)
    rate = wish.rate or PART * (
        _capacity(profile, wish.place)
        if wish.elsewhere
        else at_most(best.workers, served).summary.rate.value
    )
    sample = alone.sample.with_cpu(profile.cpu / alone.profile.cpu)
    predict = Remembering(Forecast(sample, wish.place, rate, threads))
    if wish.p99 is not None or wish.rate is not None:
        choice = least_for_target(wish.p99, rate, predict, profile, wish.place)
    elif wish.elsewhere:
        choice = enough_for_cores(profile, wish.place)
    else:
        choice = best
    said = predict(choice.workers)
    if not wish.elsewhere:
        for point in points:
            if rate <= BUSIEST * capacity(point.workers, profile, here):
                predict(point.workers)
    if wish.elsewhere:
        choice = replace(
            choice, reasons=(*choice.reasons, *_for_elsewhere(choice, profile, wish.place))
        )
    elif rate > knee_size.summary.rate.value:
        doubt = (
            f"No number served more than {shown(knee_size.summary.rate.value)} requests/s here, "
            "beside its clients: the rest is simulated."
        )
        choice = replace(choice, reasons=(*choice.reasons, doubt))
    return Conclusions(
        profile,
        here,
        best,
        _fit(points, profile, here, knee_size.clients_cores / knee_size.summary.rate.value),
        rate,
        predict.answers,
        _model(choice.workers, rate, profile, wish.place),
        advice(choice, profile, wish.place, rate, said.queue, threads != 1),
    )


def points_of(sizes: Sequence[Size]) -> list[Point]:
    """What was measured, with the standard error: of a single turn, by what the turns of the other
    sizes differ."""
    known = [size for size in sizes if size.quiet_turns > 1]
    off = median([s.summary.rate.error(1) / s.summary.rate.value for s in known]) if known else 0.0
    return [
        Point(
            size.workers,
            (rate := size.summary.rate).value,
            rate.error(size.quiet_turns) if size.quiet_turns > 1 else off * rate.value,
        )
        for size in sizes
    ]


def at_most(workers: int, sizes: Sequence[Size]) -> Size:
    """The largest of the sizes that is no larger, or else the smallest: where less memory is left
    at the end than there was, the advice is between two."""
    fitting = [size for size in sizes if size.workers <= workers]
    return max(fitting, key=lambda size: size.workers) if fitting else sizes[0]


def _capacity(profile: Profile, place: Place) -> float:
    room = place.room(profile)
    return capacity(knee(profile, place) if room is None else room, profile, place)


def _for_elsewhere(choice: Choice, profile: Profile, place: Place) -> list[str]:
    said = [
        f"That is simulated for {counted(place.cores, 'core')}, each as fast as one here, as if "
        "what handlers wait for answered as fast at any rate."
    ]
    if (room := place.room(profile)) is not None and choice.workers < room:
        assert place.memory is not None
        assert profile.memory is not None
        said.append(
            f"{in_bytes(place.memory)} have room for {counted(room, 'worker')} of "
            f"{in_bytes(profile.memory)}."
        )
    return said


def _fit(
    points: Sequence[Point], profile: Profile, place: Place, of_client: float
) -> usl.Fit | None:
    """`of_client` are the seconds on a core that a client needs for a request."""
    in_hand = [point._replace(workers=point.workers * profile.slots) for point in points]
    return usl.fit(in_hand, profile.service, profile.cpu + of_client, place.cores)


def _model(workers: int, rate: float, profile: Profile, place: Place) -> Queue:
    """Workers beyond the knee queue for cores, and are no servers more."""
    servers = min(workers, knee(profile, place)) * profile.slots
    return Queue(rate, profile.service, servers, profile.spread)
