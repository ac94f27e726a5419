"""A pool that keeps a journal of its size; a program that prints its port.

    python -I sized.py HANDLER --journal FILE [--workers N] [--settings JSON] [--cores N] [...]

Each line of the journal is a JSON object with the moment (seconds of the monotonic clock) and one
of: `size`, the number of processes from now on; `said`, what was logged; `retired`, what a worker
was doing when it was chosen to leave.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

import prefork
from benchmarks.handlers import SERVICES
from benchmarks.serve import Task, serve
from prefork import PreforkTCPServer, Settings
from prefork.policies.sizing.steps import Shrinking
from prefork.workers.protocol.scoreboard import Reading


class Journal(logging.Handler):
    """Notes of the master; its workers write nothing."""

    def __init__(self, file: Path) -> None:
        super().__init__(logging.INFO)
        self._file = file.open("a", buffering=1)
        self._master = os.getpid()

    def note(self, **what: Any) -> None:
        if os.getpid() == self._master:
            self._file.write(json.dumps({"at": time.monotonic(), **what}) + "\n")

    def emit(self, record: logging.LogRecord) -> None:
        self.note(said=record.getMessage())


def retirements(journal: Journal) -> Callable[..., list[int]]:
    """`Shrinking.choose()`, and what those whom it chose were doing by what it was shown."""
    choose = Shrinking.choose

    def noted(self: Shrinking, readings: Any, *what: Any) -> list[int]:
        known: dict[int, Reading] = dict(readings)
        chosen = choose(self, known.items(), *what)
        for slot in chosen:
            journal.note(retired=known[slot].state.name)
        return chosen

    return noted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("handler", choices=SERVICES)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0 for all")
    parser.add_argument("--loops", type=int, default=0, help="turns that `burn` makes")
    parser.add_argument("--seconds", type=float, default=0.0, help="that `wait` waits")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    journal = Journal(options.journal)
    logger = logging.getLogger("prefork")
    logger.setLevel(logging.INFO)
    logger.addHandler(journal)
    logger.propagate = False
    Shrinking.choose = retirements(journal)  # type: ignore[method-assign]
    sizes: list[int] = []

    def service_actions(self: Any) -> None:
        PreforkTCPServer.service_actions(self)
        if sizes[-1:] != [size := len(self.active_children)]:
            sizes.append(size)
            journal.note(size=size)

    given = {"loops": options.loops, "seconds": options.seconds}
    task = Task(SERVICES[options.handler], given, options.workers)
    attributes = {
        "max_children": options.workers,
        "prefork_settings": Settings(**options.settings),
        "service_actions": service_actions,
    }
    serve(task.server(prefork, "Prefork", **attributes))


if __name__ == "__main__":
    main()
