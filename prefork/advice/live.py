"""Advice for a running server, from what happened between two readings of its pool.

    before = server.prefork_reading()
    ...                                  # ten seconds of its usual work
    print(advise(before, server.prefork_reading()).reasons)

Counters tell exactly what the workers did; the number of waiting requests is known only at the two
moments. Time for which a worker was ready to run but had no core is subtracted from the service
time: otherwise it would count as waiting, for which more workers would compensate.
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
    Profile,
    Resources,
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
"""The part of its busy time on a core above which a worker's threads are assumed to wait for each
other: they queue for the interpreter."""
LEAST_CPU = 1e-6
"""The minimum seconds on a core for a request."""


class Observed(NamedTuple):
    """What happened between two readings; numbers of workers and requests are averages."""

    seconds: float
    workers: float
    busy: float
    """Workers with a request in flight."""
    in_flight: float
    """Requests in flight that did not queue for a core."""
    waiting: float
    """Requests in the backlog."""
    served: float
    """Requests per second."""
    arrived: float
    """Requests per second, without rejected ones."""
    service: float
    """Seconds for which a request occupies a worker, without queueing for a core."""
    cpu: float
    """Seconds of CPU for a request, including what workers need between requests."""
    rejected: int
    cpu_left: float | None
    """The share of the usable cores that was idle; `None`: unknown."""
    cpu_own: float
    """The share of the usable cores that the workers used."""
    memory: int | None
    """Bytes of memory of a worker."""

    @property
    def busy_share(self) -> float:
        return self.busy / self.workers

    @property
    def is_saturated(self) -> bool:
        return self.cpu_left is not None and self.cpu_left < SATURATED


class _Work(NamedTuple):
    """What one worker did between the readings, in seconds."""

    present: float
    served: int
    busy: float
    cpu: float
    delayed: float


def advise(before: PoolReading, after: PoolReading, memory: int | None = None) -> Advice:
    """Return the settings for a load like the one between two readings of a server.

    `memory` is the number of bytes that all its workers may use; by default, it is what they use
    now plus what is left. The time in between must be longer than a few requests, and typical. For
    an idle server the advice is to change nothing, and its reason says so.

    Errors: `ValueError` if the second reading is the earlier one.
    """
    if after.now < before.now:
        raise ValueError("The earlier reading must be the first argument.")
    observed = observe(before, after)
    if observed is None:
        return Advice(
            after.max_children,
            after.depth.limit or LEAST_BACKLOG,
            max(1, after.threads or 1),
            (
                "No advice: no worker that is still running had a request within "
                f"{in_time(after.now - before.now)}.",
            ),
        )
    resources = Resources(after.cores, _for_workers(after, memory), after.longest_backlog)
    profile = Profile(observed.service, observed.cpu, memory=observed.memory)
    choice = within_memory(_choose(observed, after, profile, resources), profile, resources)
    rate = observed.arrived + observed.rejected / observed.seconds
    queue = max(before.depth.waiting, after.depth.waiting)
    found = advice(choice, profile, resources, rate, queue, after.threads is not None)
    if observed.rejected and after.depth.limit and found.backlog < 2 * after.depth.limit:
        return _with_longer_backlog(found, after.depth.limit)
    return found


def observe(before: PoolReading, after: PoolReading) -> Observed | None:
    """Return what happened between two readings; `None` if no worker still running had work."""
    seconds = after.now - before.now
    work = list(_work(before, after, seconds))
    present = sum(each.present for each in work)
    served = sum(each.served for each in work)
    busy = sum(each.busy for each in work)
    cpu = sum(each.cpu for each in work)
    # If no request has ended, only those in flight are known.
    requests = served or sum(worker.in_flight for worker in after.workers)
    if not requests or busy <= 0:
        return None
    hands = [worker.in_flight for worker in (*before.workers, *after.workers) if worker.in_flight]
    together = sum(hands) / len(hands) if after.threads is not None and hands else 1.0
    undelayed = max(cpu, busy * together - sum(each.delayed for each in work))
    if together > 1 and cpu > FULL * busy:
        undelayed = cpu
    # The counters of workers that exited are lost; the remaining workers represent all.
    workers = max((len(before.workers) + len(after.workers)) / 2, present / seconds)
    scale = workers / present
    return Observed(
        seconds=seconds,
        workers=workers,
        busy=scale * busy,
        in_flight=scale * undelayed,
        waiting=(before.depth.waiting + after.depth.waiting) / 2,
        served=scale * served,
        arrived=max(0.0, scale * served + (after.depth.waiting - before.depth.waiting) / seconds),
        service=max(LEAST_CPU, undelayed / requests),
        cpu=max(LEAST_CPU, cpu / requests),
        rejected=max(0, after.depth.dropped - before.depth.dropped),
        cpu_left=cpu_left(before.cpu, after.cpu),
        cpu_own=min(1.0, scale * cpu / after.cores),
        memory=_memory_of_one(after),
    )


def needed(requests: float) -> int:
    """Return the least number of workers of which a new request almost always finds one idle.

    `requests` is the average number in flight; each worker serves one request at once (Erlang C).
    """
    least = math.floor(requests) + 1
    most = 2 * least + 16
    while least < most:
        middle = (least + most) // 2
        if erlang_c(requests, middle) <= HAS_TO_WAIT:
            most = middle
        else:
            least = middle + 1
    return least


def _choose(
    observed: Observed, after: PoolReading, profile: Profile, resources: Resources
) -> Choice:
    """Choose enough workers for this load, but at most as many as keep the cores busy.

    There are at least as many workers as cores, up to that maximum.
    """
    full = knee(profile, resources)
    for_load = needed(
        max(observed.arrived * observed.service, observed.in_flight + observed.waiting)
    )
    wanted = max(min(for_load, full), min(after.cores, full))
    reasons = [_what_happened(observed, after), nature(profile, resources)]
    if observed.is_saturated:
        reasons.append(_saturation(observed, after))
        wanted = min(wanted, max(round(observed.workers), after.cores + 1))
    elif wanted == for_load:
        servers = "worker threads" if after.threads is not None else "workers"
        reasons.append(f"With {wanted:,} {servers}, 99 of 100 requests find an idle one.")
    workers = wanted
    if after.threads is not None:
        # The present workers are enough if threads can compensate for the missing ones.
        workers = max(min(after.cores, wanted), min(after.max_children, wanted))
    return Choice(workers, tuple(reasons), wanted)


def _what_happened(observed: Observed, after: PoolReading) -> str:
    waited = (
        f"{counted(math.ceil(observed.waiting), 'client')} waited"
        if observed.waiting
        else "no client waited"
    )
    text = (
        f"In {in_time(observed.seconds)}, {counted(round(observed.workers), 'worker')} served "
        f"{shown(observed.served)} requests/s and were busy {in_percent(observed.busy_share)} of "
        f"the time; {waited}"
    )
    if observed.rejected:
        limit = "" if after.depth.limit is None else f" of {after.depth.limit:,}"
        text += f", and a full backlog{limit} rejected {observed.rejected:,}"
    return f"{text}."


def _saturation(observed: Observed, after: PoolReading) -> str:
    idle = observed.cpu_left or 0.0
    if observed.cpu_own < (1 - idle) / 2:
        consequence = "other programs used the rest, so more workers would not get more CPU"
    else:
        consequence = "more workers would only compete with them"
    return (
        f"The CPU is saturated: {in_percent(idle)} of {counted(after.cores, 'core')} was idle, and "
        f"these workers used {in_percent(observed.cpu_own)}; {consequence}."
    )


def _with_longer_backlog(found: Advice, full: int) -> Advice:
    """Double the backlog, whatever the rate: the next burst needs more room than the last one."""
    why = f"Backlog {2 * full:,} instead: {full:,} was too small for a burst."
    return replace(found, backlog=2 * full, reasons=(*found.reasons, why))


def _for_workers(after: PoolReading, memory: int | None) -> int | None:
    """Return the bytes that all workers may use; `None`: unknown."""
    if memory is not None or after.memory_left is None:
        return memory
    return after.memory_left + sum(worker.memory or 0 for worker in after.workers)


def _memory_of_one(after: PoolReading) -> int | None:
    known = [worker.memory for worker in after.workers if worker.memory is not None]
    return sum(known) // len(known) if known else None


def _work(before: PoolReading, after: PoolReading, seconds: float) -> Iterator[_Work]:
    """Yield the work of each worker that is still running; a new one started at zero."""
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
