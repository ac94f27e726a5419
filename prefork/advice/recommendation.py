"""How many workers, how many threads in each, how long a backlog: pure rules, each with its reason.

`prefork tune` follows them with what it has measured, the live advice with what a running server
shows. First a `Choice` of the number of workers, by one of three rules: `most_throughput()` of a
sweep, `enough_for_cores()` without one, `least_for_target()` of predictions. Then `advice()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from prefork.advice.phrasing import counted, in_bytes, in_percent, in_time, shown

NOISE = 0.02
"""Less than this part of the rate is no gain."""
LOSS = 0.05
"""The part of the rate that shall not be given up for fewer workers,"""
SURE = 1.5
"""not even if what was measured is off by so many standard errors."""
FINE = 1.2
"""Two numbers of workers are near enough when one is less than so many times the other."""
ROUNDING = 0.05
"""The part of a worker that is not worth one more."""
BUSIEST = 0.95
"""The part of what workers and cores can serve beyond which the queue grows for too long: hours."""
MOSTLY = 0.5
"""The share of a request from which on it is said to be spent so: waiting, or computing."""
HELD = 0.999
"""The part of all moments in which the backlog must hold who waits."""
PAUSE = 1.0
"""Seconds for which the backlog must hold whoever comes while nobody is served: a worker that is
replaced, a disk that stalls, a neighbour on the machine."""
LEAST_BACKLOG = 128
"""Below this nothing is saved: a place in the backlog that nobody takes costs no memory."""


class Profile(NamedTuple):
    """One request, and one worker."""

    service: float
    """Seconds that it occupies a worker on average, when nothing else is in its way."""
    cpu: float
    """Seconds on a core of it, on average: of all the server's processes."""
    spread: float = 1.0
    """The standard deviation of the service times over their mean."""
    memory: int | None = None
    """Bytes that a worker adds to what the pool takes (PSS); `None`: unknown."""
    slots: int = 1
    """Requests that a worker makes something of at a time; more than 1 with threads only."""
    datagrams: bool = False
    """Whether requests wait in a socket's buffer, and in no backlog."""

    @property
    def waiting(self) -> float:
        """The share of its time in which a request needs no core."""
        return max(0.0, 1 - self.cpu / self.service)

    @property
    def concurrency(self) -> float:
        """Requests in hand that keep one core busy."""
        return max(1.0, self.service / self.cpu)


class Place(NamedTuple):
    """What a pool may take of its machine."""

    cores: int
    memory: int | None = None
    """Bytes for all its workers; `None`: unknown."""
    longest_backlog: int | None = None
    """What the kernel cuts every backlog to (net.core.somaxconn)."""

    def room(self, profile: Profile) -> int | None:
        """Workers that fit into the memory, at least one; `None` where one of both is unknown."""
        if self.memory is None or not profile.memory:
            return None
        return max(1, self.memory // profile.memory)


class Point(NamedTuple):
    """One number of workers that was measured with always more clients than workers."""

    workers: int
    rate: float
    """Requests a second."""
    error: float = 0.0
    """The standard error of that; 0 where nothing is known of it."""

    @property
    def at_least(self) -> float:
        """The rate that is nearly sure."""
        return self.rate - SURE * self.error

    def as_good_as(self, best: Point) -> bool:
        """Whether no more is gained with the best of all: the less is known of the two, the less
        may be between them."""
        error = math.hypot(self.error, best.error) / best.rate if best.rate else 0.0
        given_up = max(0.0, min(NOISE, LOSS - SURE * error))
        return self.rate >= (1 - given_up) * best.rate


class Prediction(NamedTuple):
    """What a model says of one number of workers at the rate that is expected."""

    rate: float
    """Requests a second that are served."""
    p99: float
    """Seconds from a client's connect to the end of its answer."""
    queue: int
    """Requests that wait for a worker at most, in 99.9 % of all moments."""

    def is_behind(self, rate: float) -> bool:
        """Whether more come than are served."""
        return self.rate < (1 - NOISE) * rate


Predict = Callable[[int], Prediction]


@dataclass(frozen=True)
class Choice:
    """A number of workers, and why it is that one."""

    workers: int
    reasons: tuple[str, ...]
    wanted: int
    """The number that it would be with memory for any number of workers."""
    reaches: bool = True
    """Whether the target is met; there may be none."""


@dataclass(frozen=True)
class Advice:
    """What to set, and why."""

    max_children: int
    backlog: int
    threads: int
    """Requests in each worker at a time; 1 for a server without threads."""
    reasons: tuple[str, ...]
    """Sentences with the figures that decided."""
    reaches: bool = True
    """Whether the target that was asked for is met with it."""


def saturation(profile: Profile, place: Place) -> float:
    """Requests a second of which all cores are full."""
    return place.cores / profile.cpu


def knee(profile: Profile, place: Place) -> int:
    """Workers that keep all cores busy: fewer leave some idle, more only queue for them."""
    in_hand = place.cores * profile.concurrency * (1 - ROUNDING)
    return max(1, math.ceil(in_hand / profile.slots))


def capacity(workers: int, profile: Profile, place: Place) -> float:
    """Requests a second that so many workers can serve."""
    return min(saturation(profile, place), workers * profile.slots / profile.service)


def nature(profile: Profile, place: Place) -> str:
    """What a request is made of, and where that leads."""
    filled = counted(knee(profile, place), "worker")
    return (
        f"A request takes {in_time(profile.service)}, {in_time(profile.cpu)} of them on a core "
        f"({in_percent(profile.waiting)} waiting): {filled} can keep "
        f"{counted(place.cores, 'core')} busy, which {'is' if place.cores == 1 else 'are'} full at "
        f"{shown(saturation(profile, place))} requests/s."
    )


def most_throughput(points: Sequence[Point], profile: Profile, place: Place) -> Choice:
    """The smallest number that serves as much as any, by a sweep of at least one point."""
    # Not by its rate: what was measured only once may have been lucky.
    best = max(points, key=lambda point: point.at_least)
    as_good = (point for point in points if point.as_good_as(best))
    taken = min(as_good, key=lambda point: point.workers)
    more = [point for point in points if point.workers > taken.workers]
    said = f"{counted(taken.workers, 'worker')} served {shown(taken.rate)} requests/s"
    if more:
        top = max(more, key=lambda point: point.rate)
        gain = top.rate / taken.rate - 1
        what = f"{gain:+.0%}" if abs(gain) >= 0.005 else "nothing"
        said += f"; {top.workers:,} brought {what.replace('%', ' %')}"
    reasons = nature(profile, place), f"{said}."
    choice = Choice(taken.workers, reasons, taken.workers)
    filled = knee(profile, place)
    if more or filled <= taken.workers:
        return within_memory(choice, profile, place)
    # The last one tried is the best, and it is not the cores that are at their end.
    room = place.room(profile)
    if room is not None and room < FINE * taken.workers + 1:
        return within_memory(replace(choice, wanted=filled), profile, place)
    untried = f"More were not tried, and {filled:,} could keep the cores busy."
    return replace(choice, reasons=(*reasons, untried))


def enough_for_cores(profile: Profile, place: Place) -> Choice:
    """The number that keeps all cores busy, where nothing was swept."""
    wanted = knee(profile, place)
    return within_memory(Choice(wanted, (nature(profile, place),), wanted), profile, place)


def within_memory(choice: Choice, profile: Profile, place: Place) -> Choice:
    """The same, cut to what fits into the memory, which is said where it decides."""
    room = place.room(profile)
    if room is None or max(choice.workers, choice.wanted) <= room:
        return choice
    assert place.memory is not None
    assert profile.memory is not None
    said = (
        f"Memory stops at {counted(room, 'worker')}: each takes {in_bytes(profile.memory)}, and "
        f"there are {in_bytes(place.memory)} for them; {choice.wanted:,} would be wanted."
    )
    return replace(choice, workers=min(choice.workers, room), reasons=(*choice.reasons, said))


def least_for_target(
    target: float | None, rate: float, predict: Predict, profile: Profile, place: Place
) -> Choice:
    """The smallest number with which `rate` requests a second are served, 99 % of them within
    `target` seconds; without a target, with which they are served at all.

    Where none does, the smallest of those that come nearest, and why; where memory has no room for
    it, as many as there is room for. `predict` is asked for few numbers.
    """
    asked: dict[int, Prediction] = {}

    def met(workers: int) -> bool:
        if rate > BUSIEST * capacity(workers, profile, place):
            return False
        said = asked[workers] = asked.get(workers) or predict(workers)
        return not said.is_behind(rate) and (target is None or said.p99 <= target)

    # Fewer than these are always behind.
    least = max(1, math.ceil(rate * profile.service / profile.slots / BUSIEST))
    most = max(least, knee(profile, place), 2 * place.cores)
    first = next((workers for workers in _growing(least, most) if met(workers)), None)
    reasons = (nature(profile, place),)
    if first is None:
        filled = knee(profile, place)
        # More than the cores can do: those that keep them busy.
        asked = asked or {filled: predict(filled)}
        nearest = _nearest(asked, rate)
        said = _why_not(target, rate, nearest, asked[nearest], profile, place)
        choice = Choice(nearest, (*reasons, said), nearest, reaches=False)
        return within_memory(choice, profile, place)
    below = max((workers for workers in asked if workers < first), default=least - 1)
    while first - below > 1:
        between = (first + below) // 2
        first, below = (between, below) if met(between) else (first, between)
    said = (
        f"At {shown(rate)} requests/s, {counted(first, 'worker')} would answer 99 % of them within "
        f"{in_time(asked[first].p99)}"
    )
    if target is not None:
        said += f" (wanted: {in_time(target)})"
    if below in asked:
        said += f"; with {below:,} it would be {_p99_or_behind(asked[below], rate)}"
    choice = within_memory(Choice(first, (*reasons, f"{said}."), first), profile, place)
    return replace(choice, reaches=choice.workers == first)


def _growing(least: int, most: int) -> list[int]:
    """Numbers from the least to the most, each half as much again."""
    numbers = [least]
    while numbers[-1] < most:
        numbers.append(min(most, max(numbers[-1] + 1, numbers[-1] * 3 // 2)))
    return numbers


def _nearest(asked: Mapping[int, Prediction], rate: float) -> int:
    """The smallest number of those that do as well as any."""
    able = {n: said for n, said in asked.items() if not said.is_behind(rate)} or asked
    best = min(said.p99 for said in able.values())
    return min(n for n, said in able.items() if said.p99 <= (1 + NOISE) * best)


def _p99_or_behind(said: Prediction, rate: float) -> str:
    if said.is_behind(rate):
        return f"too few: {shown(said.rate)} requests/s"
    return in_time(said.p99)


def _why_not(
    target: float | None,
    rate: float,
    workers: int,
    said: Prediction,
    profile: Profile,
    place: Place,
) -> str:
    full = saturation(profile, place)
    if rate > BUSIEST * full:
        cause = f"the {counted(place.cores, 'core')} are full at {shown(full)} requests/s"
    elif rate < MOSTLY * full or (
        target is not None and target < profile.service * (1 + 2 * profile.spread)
    ):
        cause = f"a request takes {in_time(profile.service)} by itself, and some take too long"
    else:
        cause = f"the cores are {in_percent(rate / full)} busy, so requests wait for each other"
    wish = "" if target is None else f", 99 % of them within {in_time(target)},"
    best = f"{in_time(said.p99)} for 99 % of them"
    if said.is_behind(rate):
        best = f"{shown(said.rate)} requests/s"
    return (
        f"{shown(rate)} requests/s{wish} cannot be had: {cause}. The best would be "
        f"{counted(workers, 'worker')}, with {best}."
    )


def advice(
    choice: Choice, profile: Profile, place: Place, rate: float, queue: float, threaded: bool
) -> Advice:
    """What to set for the number of workers that was chosen.

    `rate` is what is expected, in requests a second; `queue` how many wait for a worker at most in
    99.9 % of all moments; `threaded` whether the server serves in threads.
    """
    threads, why_threads = threads_for(choice, profile, place, threaded)
    backlog, why_backlog = backlog_for(rate, queue, place)
    if profile.datagrams:
        why_backlog = (
            f"Datagrams have no backlog: the socket's buffer should have room for {backlog:,} of "
            f"them, what comes in {PAUSE:g} s without service at {shown(rate)} requests/s."
        )
    reasons = (*choice.reasons, *why_threads, why_backlog)
    return Advice(choice.workers, backlog, threads, reasons, choice.reaches)


def threads_for(
    choice: Choice, profile: Profile, place: Place, threaded: bool
) -> tuple[int, tuple[str, ...]]:
    """Threads for each worker, where requests wait and memory has no room for as many workers.

    No more than keep one core busy: one interpreter computes in one thread at a time.
    """
    workers = choice.workers
    in_hand = choice.wanted * profile.slots
    threads = min(math.ceil(in_hand / workers), round(profile.concurrency))
    if threads <= 1 or profile.waiting < MOSTLY:
        return 1, ()
    alone, together = (
        shown(capacity(workers, profile._replace(slots=slots), place)) for slots in (1, threads)
    )
    gain = f"about {together} requests/s in place of {alone}, in the same memory"
    if threaded:
        return threads, (f"{threads} threads in each worker wait at the same time: {gain}.",)
    return 1, (
        f"Handlers that may share a process would gain by threads (--threads {threads}): {gain}.",
    )


def backlog_for(rate: float, queue: float, place: Place) -> tuple[int, str]:
    """Places for those who wait, a power of two: for the queue that there is almost always, and for
    whoever comes during a pause."""
    burst = math.ceil(rate * PAUSE)
    needed = math.ceil(min(queue, burst)) + burst
    backlog = max(LEAST_BACKLOG, 1 << (needed - 1).bit_length() if needed > 1 else 1)
    said = (
        f"A backlog of {backlog:,} holds what comes in {PAUSE:g} s without service at "
        f"{shown(rate)} requests/s"
    )
    if 1 <= queue <= burst:
        said += f", behind up to {queue:.0f} who wait already"
    if place.longest_backlog is not None and backlog > place.longest_backlog:
        said += f", but the kernel cuts it to {place.longest_backlog:,}: raise net.core.somaxconn"
    return backlog, f"{said}."
