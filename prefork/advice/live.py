"""Advice for a server that runs: from what happened between two readings of its pool.

    before = server.prefork_reading()
    ...                                  # ten seconds of its usual work
    print(advise(before, server.prefork_reading()).reasons)

Counters say what the workers did, exactly; what waits is known at the two moments only. Time in
which a worker was ready to run and had no core is taken off the service time: it is the machine's,
and would be taken for waiting, which more workers cure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from prefork.advice.phrasing import counted, in_percent, in_time, shown
from prefork.advice.queueing import erlang_c
from prefork.advice.recommendation import (
    LEAST_BACKLOG,
    Advice,
    Choice,
    Place,
    Profile,
    advice,
    knee,
    nature,
    within_memory,
)
from prefork.policies.sizing.load import SATURATED
from prefork.state.snapshot import PoolReading, WorkerReading, cpu_left

HAS_TO_WAIT = 0.01
"""The part of the requests that may find no idle worker."""
FULL = 0.9
"""The part of its busy time that a worker with threads is on a core when its threads queue for the
interpreter: what they wait for then is each other."""
LEAST_CPU = 1e-6
"""Seconds on a core; less than this no request takes."""


class Observed(NamedTuple):
    """What happened between two readings; all numbers of workers and requests are averages."""

    seconds: float
    workers: float
    busy: float
    """Workers that had a request in hand."""
    in_hand: float
    """Requests that were in hand and did not queue for a core."""
    waiting: float
    """Requests in the backlog."""
    served: float
    """Requests a second."""
    arrived: float
    """Requests a second, without those turned away."""
    service: float
    """Seconds of a worker that a request takes, without the queue for the cores."""
    cpu: float
    """Seconds on a core of a request; of all workers, also what they need between requests."""
    turned_away: int
    cpu_left: float | None
    """Share of the usable cores that was idle; `None`: unknown."""
    cpu_own: float
    """Share of the usable cores that the workers used."""
    memory: int | None
    """Bytes of a worker."""

    @property
    def busy_share(self) -> float:
        return self.busy / self.workers

    @property
    def is_saturated(self) -> bool:
        return self.cpu_left is not None and self.cpu_left < SATURATED


class _Work(NamedTuple):
    """What one worker has done between the readings, in seconds."""

    present: float
    served: int
    busy: float
    cpu: float
    delayed: float


def advise(before: PoolReading, after: PoolReading, memory: int | None = None) -> Advice:
    """What to set for a load like the one between two readings of a server.

    `memory` is how many bytes all its workers may take; without it, what they take and what is
    left. Longer than a few requests, and usual, the time in between must be: of an idle server
    there is nothing to say, and it is said so.

    Errors: `ValueError` when the second reading is the earlier one.
    """
    if after.now < before.now:
        raise ValueError("The reading that was taken first must be given first.")
    seen = observe(before, after)
    if seen is None:
        return Advice(
            after.max_children,
            after.depth.limit or LEAST_BACKLOG,
            max(1, after.threads or 1),
            (
                "There is nothing to advise from: no worker that is still there had a request "
                f"within {in_time(after.now - before.now)}.",
            ),
        )
    place = Place(after.cores, _for_workers(after, memory), after.longest_backlog)
    profile = Profile(seen.service, seen.cpu, memory=seen.memory)
    choice = within_memory(_choose(seen, after, profile, place), profile, place)
    rate = seen.arrived + seen.turned_away / seen.seconds
    queue = max(before.depth.waiting, after.depth.waiting)
    found = advice(choice, profile, place, rate, queue, after.threads is not None)
    if seen.turned_away and after.depth.limit and found.backlog < 2 * after.depth.limit:
        return _with_longer_backlog(found, after.depth.limit)
    return found


def observe(before: PoolReading, after: PoolReading) -> Observed | None:
    """What happened between two readings; `None` where no worker that is there did a thing."""
    seconds = after.now - before.now
    work = list(_work(before, after, seconds))
    present = sum(each.present for each in work)
    served = sum(each.served for each in work)
    busy = sum(each.busy for each in work)
    cpu = sum(each.cpu for each in work)
    # Where none has ended, those in hand are what there is.
    requests = served or sum(worker.in_flight for worker in after.workers)
    if not requests or busy <= 0:
        return None
    hands = [worker.in_flight for worker in (*before.workers, *after.workers) if worker.in_flight]
    together = sum(hands) / len(hands) if after.threads is not None and hands else 1.0
    undelayed = max(cpu, busy * together - sum(each.delayed for each in work))
    if together > 1 and cpu > FULL * busy:
        undelayed = cpu
    # Who has left meanwhile took the counters along: those who are there stand for all.
    workers = max((len(before.workers) + len(after.workers)) / 2, present / seconds)
    scale = workers / present
    return Observed(
        seconds=seconds,
        workers=workers,
        busy=scale * busy,
        in_hand=scale * undelayed,
        waiting=(before.depth.waiting + after.depth.waiting) / 2,
        served=scale * served,
        arrived=max(0.0, scale * served + (after.depth.waiting - before.depth.waiting) / seconds),
        service=max(LEAST_CPU, undelayed / requests),
        cpu=max(LEAST_CPU, cpu / requests),
        turned_away=max(0, after.depth.dropped - before.depth.dropped),
        cpu_left=cpu_left(before.cpu, after.cpu),
        cpu_own=min(1.0, scale * cpu / after.cores),
        memory=_memory_of_one(after),
    )


def needed(requests: float) -> int:
    """The least number of workers, each with one request at a time, of which a new request finds
    one idle almost always, where so many requests are in hand on average (Erlang C)."""
    least = math.floor(requests) + 1
    most = 2 * least + 16
    while least < most:
        middle = (least + most) // 2
        if erlang_c(requests, middle) <= HAS_TO_WAIT:
            most = middle
        else:
            least = middle + 1
    return least


def _choose(seen: Observed, after: PoolReading, profile: Profile, place: Place) -> Choice:
    """For this load, no more than keep the cores busy, and no fewer than there are cores."""
    full = knee(profile, place)
    for_load = needed(max(seen.arrived * seen.service, seen.in_hand + seen.waiting))
    wanted = max(min(for_load, full), min(after.cores, full))
    reasons = [_what_was_seen(seen, after), nature(profile, place)]
    if seen.is_saturated:
        reasons.append(_saturation(seen, after))
        wanted = min(wanted, max(round(seen.workers), after.cores + 1))
    elif wanted == for_load:
        all_of_them = "places for requests" if after.threads is not None else "workers"
        reasons.append(
            f"At this load 99 of 100 requests find an idle one of {wanted:,} {all_of_them}."
        )
    workers = wanted
    if after.threads is not None:
        # As many workers as there are do, where threads can make up for those that are missing.
        workers = max(min(after.cores, wanted), min(after.max_children, wanted))
    return Choice(workers, tuple(reasons), wanted)


def _what_was_seen(seen: Observed, after: PoolReading) -> str:
    waited = (
        f"{counted(math.ceil(seen.waiting), 'client')} waited" if seen.waiting else "nobody waited"
    )
    said = (
        f"Within {in_time(seen.seconds)}, {counted(round(seen.workers), 'worker')} served "
        f"{shown(seen.served)} requests/s and had work for {in_percent(seen.busy_share)} of their "
        f"time; {waited}"
    )
    if seen.turned_away:
        limit = "" if after.depth.limit is None else f" of {after.depth.limit:,}"
        said += f", and a full backlog{limit} turned {seen.turned_away:,} away"
    return f"{said}."


def _saturation(seen: Observed, after: PoolReading) -> str:
    idle = seen.cpu_left or 0.0
    if seen.cpu_own < (1 - idle) / 2:
        rest = "something else took the rest, and leaves nothing to more of them"
    else:
        rest = "more of them would only take it from each other"
    return (
        f"The machine is saturated: of {counted(after.cores, 'core')}, {in_percent(idle)} was "
        f"idle, and these workers used {in_percent(seen.cpu_own)}; {rest}."
    )


def _with_longer_backlog(found: Advice, full: int) -> Advice:
    """Whatever the rate says: the next burst must find more room than the last one did."""
    said = f"{full:,} were too few when it came to that: {2 * full:,} leave room for such a burst."
    return replace(found, backlog=2 * full, reasons=(*found.reasons, said))


def _for_workers(after: PoolReading, memory: int | None) -> int | None:
    """Bytes for all workers."""
    if memory is not None or after.memory_left is None:
        return memory
    return after.memory_left + sum(worker.memory or 0 for worker in after.workers)


def _memory_of_one(after: PoolReading) -> int | None:
    known = [worker.memory for worker in after.workers if worker.memory is not None]
    return sum(known) // len(known) if known else None


def _work(before: PoolReading, after: PoolReading, seconds: float) -> Iterator[_Work]:
    """Of each worker that is still there. One that was not there before has begun at zero."""
    then = {worker.pid: worker for worker in before.workers}
    nothing = WorkerReading(0, 0.0, 0, 0.0, 0, 0.0, 0.0, None)
    for now in after.workers:
        former = then.get(now.pid, nothing)
        present = min(seconds, now.age)
        yield _Work(
            present,
            now.served - former.served,
            min(present, now.busy - former.busy),
            now.cpu - former.cpu,
            now.delayed - former.delayed,
        )
