"""A pool that keeps a journal of its size.

    python -I sizing_server.py HANDLER --journal FILE [--workers N] [--settings JSON] [...]

The program prints its port. Each line of the journal is a JSON object: `at`, in seconds of the
monotonic clock, and one of `size`, the number of processes from then on; `event`, the
event that the master logged, with its message as `log`; `retired`, the state of a worker that was
chosen to leave.
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

sys.path.append(str(Path(__file__).resolve().parents[2]))

import prefork
from benchmarks.servers.handlers import HANDLERS
from benchmarks.servers.socketservers import ServerTask, serve
from prefork import PreforkTCPServer, Settings
from prefork.policies.sizing.steps import Shrinking


class JournalWriter(logging.Handler):
    """The journal, which the master writes. Workers inherit it, but write nothing."""

    def __init__(self, file: Path) -> None:
        super().__init__(logging.INFO)
        self._file = file.open("a", buffering=1)
        self._master = os.getpid()

    def note(self, **what: Any) -> None:
        """Write one line."""
        if os.getpid() == self._master:
            self._file.write(json.dumps({"at": time.monotonic(), **what}) + "\n")

    def emit(self, record: logging.LogRecord) -> None:
        self.note(event=getattr(record, "event", ""), log=record.getMessage())


def noting_retirements(journal: JournalWriter) -> Callable[..., list[int]]:
    """Return `Shrinking.choose()` that also writes the states of the workers that it chooses."""
    choose = Shrinking.choose

    def noted(self: Shrinking, readings: Any, *what: Any) -> list[int]:
        known = dict(readings)
        chosen = choose(self, known.items(), *what)
        for slot in chosen:
            journal.note(retired=known[slot].state.name)
        return chosen

    return noted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("handler", choices=HANDLERS)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0 for all")
    parser.add_argument("--loops", type=int, default=0, help="loops of `burn`")
    parser.add_argument("--seconds", type=float, default=0.0, help="the wait of `wait`")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    journal = JournalWriter(options.journal)
    logger = logging.getLogger("prefork")
    logger.setLevel(logging.INFO)
    logger.addHandler(journal)
    logger.propagate = False
    Shrinking.choose = noting_retirements(journal)  # type: ignore[method-assign]
    sizes: list[int] = []

    def service_actions(self: Any) -> None:
        PreforkTCPServer.service_actions(self)
        if sizes[-1:] != [size := len(self.active_children)]:
            sizes.append(size)
            journal.note(size=size)

    given = {"loops": options.loops, "seconds": options.seconds}
    task = ServerTask(HANDLERS[options.handler], given, options.workers)
    attributes = {
        "max_children": options.workers,
        "prefork_settings": Settings(**options.settings),
        "service_actions": service_actions,
    }
    serve(task.server(prefork, "Prefork", **attributes))


if __name__ == "__main__":
    main()
