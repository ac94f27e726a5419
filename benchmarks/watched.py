"""The pools of situations.py, and the moment from which their processes can be watched."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, Running, ServerFailed
from benchmarks.processes import children

SITUATIONS = Path(__file__).resolve().with_name("situations.py")
DEADLINE = 60.0
SETTLED = 1.0
"""Seconds after its start in which a worker has said what it is in its title."""
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
