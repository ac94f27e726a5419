"""The pools of situations.py; waiting for a server's workers, and watching what it uses."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, Running, ServerFailed, settle
from prefork.loadtest.machine import busy_seconds
from prefork.loadtest.process_tree import children

SITUATIONS = Path(__file__).resolve().with_name("situations.py")
DEADLINE = 60.0
SETTLED = 1.0
"""Seconds after its start, or a request, in which a worker has said in its title what it is."""
_POLL = 0.005


def watched(
    handler: str,
    workers: int,
    *,
    name: str,
    settings: dict[str, Any] | None = None,
    **options: object,
) -> Contender:
    """`options` as situations.py has them, without the dashes."""
    given = {"workers": workers, "settings": json.dumps(settings or {}), **options}
    arguments = (f"--{option}={value}" for option, value in given.items())
    return Contender(name, (sys.executable, "-I", str(SITUATIONS), handler, *arguments))


def wait_for_workers(server: Running, count: int) -> list[int]:
    """Wait until the master has so many children; their pids."""
    deadline = time.monotonic() + DEADLINE
    while len(found := children(server.pid)) != count:
        if time.monotonic() > deadline:
            raise ServerFailed(f"The server {server.name!r} has {len(found)} workers, not {count}.")
        time.sleep(_POLL)
    return found


@dataclass
class Usage:
    """What was used of the machine for a while; complete at the end of `using()`."""

    cpu: float = 0.0
    """CPU seconds of the server, all its processes together."""
    others: float = 0.0
    """Cores that were taken by what is neither the server nor this process."""


@contextmanager
def using(server: Running) -> Iterator[Usage]:
    """Watch what is used from here to the end of the block, by a server and beside it."""
    usage = Usage()
    settle()
    began, own = time.monotonic(), time.process_time()
    cpu, machine = server.cpu_seconds(), busy_seconds()
    yield usage
    settle()
    usage.cpu = server.cpu_seconds() - cpu
    others = busy_seconds() - machine - usage.cpu - (time.process_time() - own)
    usage.others = max(0.0, others) / (time.monotonic() - began)
