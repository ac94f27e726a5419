"""Observes a running server: its workers, its wake-ups, its memory and its CPU time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.harness.competitors import (
    Competitor,
    RunningServer,
    ServerFailed,
    own_server,
    settle,
)
from prefork.loadtest.machine import busy_seconds
from prefork.loadtest.process_tree import children, tree

DEADLINE = 60.0
SETTLED = 1.0
"""Seconds after a start or a request until each worker has written its state in its title."""
_POLL = 0.005


def fault_server(
    handler: str,
    workers: int,
    *,
    name: str,
    settings: dict[str, Any] | None = None,
    **options: object,
) -> Competitor:
    """Return a pool of servers/fault_server.py, with that program's options."""
    given = {"workers": workers, "settings": json.dumps(settings or {}), **options}
    return own_server("fault_server.py", handler, name=name, **given)


def wait_for_workers(server: RunningServer, count: int) -> list[int]:
    """Wait until the master has `count` children, and return their process IDs.

    Errors: `ServerFailed` after `DEADLINE` seconds.
    """
    deadline = time.monotonic() + DEADLINE
    while len(found := children(server.pid)) != count:
        if time.monotonic() > deadline:
            raise ServerFailed(f"The server {server.name!r} has {len(found)} workers, not {count}.")
        time.sleep(_POLL)
    return found


def times_woken(pid: int) -> int:
    """Return how often a process with a single thread has blocked and then been woken.

    Preemptions are not included (proc(5), voluntary_ctxt_switches).
    """
    return int(psutil.Process(pid).num_ctx_switches().voluntary)


def pool_memory(server: RunningServer) -> int:
    """Return the PSS of the master and its descendants, in bytes; a shared page counts once."""
    return sum(int(psutil.Process(pid).memory_full_info().pss) for pid in tree(server.pid))


@dataclass
class Usage:
    """The CPU that a server and other processes used; complete when `using()` ends."""

    cpu: float = 0.0
    """CPU seconds of the server, all its processes together."""
    others: float = 0.0
    """Cores that were used by neither the server nor this process."""


@contextmanager
def using(server: RunningServer) -> Iterator[Usage]:
    """Measure what is used during the block."""
    usage = Usage()
    settle()
    began, own = time.monotonic(), time.process_time()
    cpu, machine = server.cpu_seconds(), busy_seconds()
    yield usage
    settle()
    usage.cpu = server.cpu_seconds() - cpu
    others = busy_seconds() - machine - usage.cpu - (time.process_time() - own)
    usage.others = max(0.0, others) / (time.monotonic() - began)
