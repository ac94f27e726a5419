"""Recommends numbers of workers and threads, and a backlog: pure rules with their reasons.

`prefork tune` applies them to its measurements, and the live advice to readings of a running
server. One of three rules makes a `Choice` of the number of workers: `most_throughput()` with a
sweep, `enough_for_cores()` if there is none, `least_for_target()` with predictions. `advice()`
follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from prefork.advice.noise import FLOOR, Estimate, preferred
from prefork.advice.phrasing import counted, in_bytes, in_percent, in_time, shown

LOSS = 0.05
"""The part of the rate that must not be lost by taking fewer workers."""
FINE = 1.2
"""Two numbers of workers are near enough if their ratio is below this."""
ROUNDING = 0.05
"""The part of a worker that does not justify one more."""
BUSIEST = 0.95
"""The utilisation of workers and cores above which the queue grows for hours."""
MOSTLY = 0.5
"""The share from which a request counts as mostly waiting, or mostly computing."""
HELD = 0.999
"""The part of the time in which the backlog must hold the requests that wait."""
PAUSE = 1.0
"""Seconds of arrivals for which the backlog must have room while no request is served: a worker is
replaced, a disk stalls, another program takes the machine."""
LEAST_BACKLOG = 128
"""A shorter backlog saves nothing: an unused place in it costs no memory."""


class Profile(NamedTuple):
    """The properties of one request, and of one worker."""

    service: float
    """Seconds for which it occupies a worker on average, without competition."""
    cpu: float
    """Seconds of that on a core, on average, in all processes of the server."""
    spread: float = 1.0
    """The standard deviation of the service times, divided by their mean."""
    memory: int | None = None
    """Bytes that a worker adds to what the pool takes (PSS); `None`: unknown."""
    slots: int = 1
    """Requests on which a worker makes progress concurrently; more than 1 only with threads."""
    datagrams: bool = False
    """Whether requests wait in a socket's buffer instead of a backlog."""

    @property
    def waiting(self) -> float:
        """The share of its time for which a request does not need a core."""
        return max(0.0, 1 - self.cpu / self.service)

    @property
    def concurrency(self) -> float:
        """Requests in flight that keep one core busy."""
        return max(1.0, self.service / self.cpu)


class Resources(NamedTuple):
    """What a pool may use of its machine."""

    cores: int
    memory: int | None = None
    """Bytes for all its workers; `None`: unknown."""
    longest_backlog: int | None = None
    """The kernel's upper limit for every backlog (net.core.somaxconn)."""

    def room(self, profile: Profile) -> int | None:
        """Return the number of workers that fit into memory, at least 1; `None`: unknown."""
        if self.memory is None or not profile.memory:
            return None
        return max(1, self.memory // profile.memory)


class Point(NamedTuple):
    """One number of workers, measured with more clients than workers at all times."""

    workers: int
    rate: Estimate
    """Requests per second."""


class Prediction(NamedTuple):
    """What a model predicts for one number of workers at the expected rate."""

    rate: float
    """Requests per second that are served."""
    p99: float
    """Seconds from a client's connect() to the end of its answer."""
    queue: int
    """Maximum number of requests that wait for a worker 99.9 % of the time."""

    def is_behind(self, rate: float) -> bool:
        """Return whether more requests arrive than are served."""
        return self.rate < (1 - FLOOR) * rate


Predict = Callable[[int], Prediction]


@dataclass(frozen=True)
class Choice:
    """A number of workers, and the reasons for it."""

    workers: int
    reasons: tuple[str, ...]
    wanted: int
    """The number that would be chosen with unlimited memory."""
    reaches: bool = True
    """Whether the target is met, if there is one."""


@dataclass(frozen=True)
class Advice:
    """The recommended settings, and the reasons for them."""

    max_children: int
    backlog: int
    threads: int
    """Concurrent requests in each worker; 1 for a server without threads."""
    reasons: tuple[str, ...]
    """Sentences with the decisive figures."""
    reaches: bool = True
    """Whether it meets the target that was given."""


def saturation(profile: Profile, resources: Resources) -> float:
    """Return the requests per second that keep all cores busy."""
    return resources.cores / profile.cpu


def knee(profile: Profile, resources: Resources) -> int:
    """Return the number of workers that keep all cores busy: more would only queue for them."""
    in_flight = resources.cores * profile.concurrency * (1 - ROUNDING)
    return max(1, math.ceil(in_flight / profile.slots))


def capacity(workers: int, profile: Profile, resources: Resources) -> float:
    """Return the requests per second that `workers` can serve."""
    return min(saturation(profile, resources), workers * profile.slots / profile.service)


def nature(profile: Profile, resources: Resources) -> str:
    """Describe what a request consists of, and how many workers that requires."""
    workers = counted(knee(profile, resources), "worker")
    keeps = "keeps" if workers == "1 worker" else "keep"
    cpu = "all of it CPU"
    if round(100 * profile.waiting):
        cpu = f"{in_time(profile.cpu)} of it CPU ({in_percent(profile.waiting)} waiting)"
    return (
        f"A request takes {in_time(profile.service)}, {cpu}: {workers} {keeps} "
        f"{counted(resources.cores, 'core')} busy, for at most "
        f"{shown(saturation(profile, resources))} requests/s."
    )


def most_throughput(points: Sequence[Point], profile: Profile, resources: Resources) -> Choice:
    """Choose the smallest number that serves as much as any, from at least one point of a sweep."""
    taken = preferred(points, lambda point: point.rate, lambda point: point.workers, LOSS)
    more = [point for point in points if point.workers > taken.workers]
    result = f"{counted(taken.workers, 'worker')} served {shown(taken.rate.value)} requests/s"
    if more:
        top = max(more, key=lambda point: point.rate.value)
        gain = top.rate.value / taken.rate.value - 1
        result += f"; {top.workers:,} served {_more_or_less(gain)}"
    reasons = nature(profile, resources), f"{result}."
    choice = Choice(taken.workers, reasons, taken.workers)
    filled = knee(profile, resources)
    if more or filled <= taken.workers:
        return within_memory(choice, profile, resources)
    # The largest number that was measured is the best, and the cores are not saturated.
    room = resources.room(profile)
    if room is not None and room < FINE * taken.workers + 1:
        return within_memory(replace(choice, wanted=filled), profile, resources)
    untried = f"Larger numbers were not tried; it would take {filled:,} to keep the cores busy."
    return replace(choice, reasons=(*reasons, untried))


def _more_or_less(gain: float) -> str:
    if abs(gain) < 0.005:
        return "no more"
    return f"{in_percent(abs(gain))} {'more' if gain > 0 else 'less'}"


def enough_for_cores(profile: Profile, resources: Resources) -> Choice:
    """Choose the number that keeps all cores busy, if there is no sweep."""
    wanted = knee(profile, resources)
    return within_memory(Choice(wanted, (nature(profile, resources),), wanted), profile, resources)


def within_memory(choice: Choice, profile: Profile, resources: Resources) -> Choice:
    """Limit the choice to what fits into memory; if this limit applies, a reason says so."""
    room = resources.room(profile)
    if room is None or max(choice.workers, choice.wanted) <= room:
        return choice
    assert resources.memory is not None
    assert profile.memory is not None
    limit = (
        f"Memory limits the pool to {counted(room, 'worker')} ({in_bytes(profile.memory)} each, "
        f"{in_bytes(resources.memory)} available); without this limit it would be "
        f"{choice.wanted:,}."
    )
    return replace(choice, workers=min(choice.workers, room), reasons=(*choice.reasons, limit))


def least_for_target(
    target: float | None, rate: float, predict: Predict, profile: Profile, resources: Resources
) -> Choice:
    """Choose the smallest number that serves `rate` requests per second within `target` seconds.

    99 % of the requests must meet the target. Without a target, it is the smallest number that
    keeps up with the rate. If no number does, it is the smallest of those that come nearest, with
    the reason; if it does not fit into memory, it is as many as fit. `predict` is called only for a
    few numbers.
    """
    predictions: dict[int, Prediction] = {}

    def met(workers: int) -> bool:
        if rate > BUSIEST * capacity(workers, profile, resources):
            return False
        found = predictions[workers] = predictions.get(workers) or predict(workers)
        return not found.is_behind(rate) and (target is None or found.p99 <= target)

    # Fewer workers always fall behind.
    least = max(1, math.ceil(rate * profile.service / profile.slots / BUSIEST))
    most = max(least, knee(profile, resources), 2 * resources.cores)
    first = next((workers for workers in _growing(least, most) if met(workers)), None)
    reasons = (nature(profile, resources),)
    if first is None:
        filled = knee(profile, resources)
        # The rate is above what the cores can serve: predict for the workers that keep them busy.
        predictions = predictions or {filled: predict(filled)}
        nearest = _nearest(predictions, rate)
        why = _why_not(target, rate, nearest, predictions[nearest], profile, resources)
        choice = Choice(nearest, (*reasons, why), nearest, reaches=False)
        return within_memory(choice, profile, resources)
    below = max((workers for workers in predictions if workers < first), default=least - 1)
    while first - below > 1:
        between = (first + below) // 2
        first, below = (between, below) if met(between) else (first, between)
    result = (
        f"At {shown(rate)} requests/s, {counted(first, 'worker')} would answer 99 % of them within "
        f"{in_time(predictions[first].p99)}"
    )
    if target is not None:
        result += f" (target: {in_time(target)})"
    if below in predictions:
        result += f"; {below:,} would {_p99_or_behind(predictions[below], rate)}"
    choice = within_memory(Choice(first, (*reasons, f"{result}."), first), profile, resources)
    return replace(choice, reaches=choice.workers == first)


def _growing(least: int, most: int) -> list[int]:
    """Return numbers from the least to the most, each 1.5 times the one before."""
    numbers = [least]
    while numbers[-1] < most:
        numbers.append(min(most, max(numbers[-1] + 1, numbers[-1] * 3 // 2)))
    return numbers


def _nearest(predictions: Mapping[int, Prediction], rate: float) -> int:
    """Return the smallest of the numbers that do as well as any."""
    able = {n: found for n, found in predictions.items() if not found.is_behind(rate)}
    able = able or dict(predictions)
    best = min(found.p99 for found in able.values())
    return min(n for n, found in able.items() if found.p99 <= (1 + FLOOR) * best)


def _p99_or_behind(found: Prediction, rate: float) -> str:
    if found.is_behind(rate):
        return f"fall behind, at {shown(found.rate)} requests/s"
    return f"need {in_time(found.p99)}"


def _why_not(
    target: float | None,
    rate: float,
    workers: int,
    found: Prediction,
    profile: Profile,
    resources: Resources,
) -> str:
    full = saturation(profile, resources)
    if rate > BUSIEST * full:
        cause = f"{counted(resources.cores, 'core')} can serve {shown(full)} requests/s at most"
    elif rate < MOSTLY * full or (
        target is not None and target < profile.service * (1 + 2 * profile.spread)
    ):
        cause = f"a request takes {in_time(profile.service)} even without competition"
    else:
        cause = f"the cores would be {in_percent(rate / full)} busy, so requests wait"
    target_shown = "" if target is None else f", 99 % of them within {in_time(target)},"
    best = f"99 % within {in_time(found.p99)}"
    if found.is_behind(rate):
        best = f"{shown(found.rate)} requests/s"
    return (
        f"{shown(rate)} requests/s{target_shown} is not possible: {cause}. The nearest is {best}, "
        f"with {counted(workers, 'worker')}."
    )


def advice(
    choice: Choice,
    profile: Profile,
    resources: Resources,
    rate: float,
    queue: float,
    threaded: bool,
) -> Advice:
    """Return the settings for the chosen number of workers.

    `rate` is the expected number of requests per second; `queue` is the maximum number of requests
    that wait for a worker 99.9 % of the time; `threaded` tells whether the server serves in
    threads.
    """
    threads, why_threads = threads_for(choice, profile, resources, threaded)
    backlog, why_backlog = backlog_for(rate, queue, resources)
    if profile.datagrams:
        why_backlog = (
            "Datagrams have no backlog: size the socket's receive buffer for "
            f"{backlog:,} of them, {_arrivals(rate)}."
        )
    reasons = (*choice.reasons, *why_threads, why_backlog)
    return Advice(choice.workers, backlog, threads, reasons, choice.reaches)


def threads_for(
    choice: Choice, profile: Profile, resources: Resources, threaded: bool
) -> tuple[int, tuple[str, ...]]:
    """Recommend threads if requests mostly wait and memory does not suffice for enough workers.

    There are at most as many as keep one core busy: an interpreter runs one thread at a time.
    """
    workers = choice.workers
    in_flight = choice.wanted * profile.slots
    threads = min(math.ceil(in_flight / workers), round(profile.concurrency))
    if threads <= 1 or profile.waiting < MOSTLY:
        return 1, ()
    alone, together = (
        shown(capacity(workers, profile._replace(slots=slots), resources)) for slots in (1, threads)
    )
    gain = f"about {together} requests/s instead of {alone}, in the same memory"
    if threaded:
        return threads, (f"{threads} threads in each worker wait concurrently: {gain}.",)
    return 1, (f"If the handler is thread-safe, --threads {threads} would serve {gain}.",)


def backlog_for(rate: float, queue: float, resources: Resources) -> tuple[int, str]:
    """Recommend a backlog with room for the requests that usually wait and those of a pause.

    It is a power of two.
    """
    burst = math.ceil(rate * PAUSE)
    usual = min(queue, burst)
    needed = math.ceil(usual) + burst
    backlog = max(LEAST_BACKLOG, 1 << (needed - 1).bit_length() if needed > 1 else 1)
    why = f"Backlog {backlog:,}: room for {_arrivals(rate)}"
    if 1 <= queue <= burst:
        why += f", plus the {queue:.0f} that usually wait"
    if resources.longest_backlog is not None and backlog > resources.longest_backlog:
        why += f"; the kernel limits it to {resources.longest_backlog:,}: raise net.core.somaxconn"
    return backlog, f"{why}."


def _arrivals(rate: float) -> str:
    return f"one second of arrivals ({math.ceil(rate * PAUSE):,}) if every worker stalls"
