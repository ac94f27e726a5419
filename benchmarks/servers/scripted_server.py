"""A pool whose requests are known beforehand, and whose workers record the time that each takes.

    python -I scripted_server.py ITEMS RECORDS [--workers N]

The program prints its port. Each request takes the next `WorkItem` of the file ITEMS. Reading
advances an offset that all workers share (open(2) on open file descriptions), so no item is taken
twice. The time that the request took is appended to the file RECORDS, one `WorkRecord` for each
item, in the order in which the requests end.
"""

from __future__ import annotations

import argparse
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.servers.handlers import work
from benchmarks.servers.socketservers import BACKLOG, announce
from prefork import BaseRequestHandler, PreforkTCPServer

ITEM = struct.Struct("=qqd")
RECORD = struct.Struct("=dd")


class WorkItem(NamedTuple):
    """The work of one request: loops of `work()`, a wait in seconds, and loops again."""

    before: int
    after: int
    wait: float


class WorkRecord(NamedTuple):
    """The time that one request took, in seconds."""

    cpu: float
    """CPU time of its worker, from the end of the previous request."""
    wait: float
    """Time in its handler during which it did not use a core."""


class ScriptedHandler(BaseRequestHandler):
    """Does the work of the next item, and sends back what was received."""

    def handle(self) -> None:
        data = self.request.recv(1024)
        item = WorkItem(*ITEM.unpack(os.read(self.server.items, ITEM.size)))
        work(item.before)
        if item.wait:
            time.sleep(item.wait)
        work(item.after)
        self.request.sendall(data)


class ScriptedServer(PreforkTCPServer):
    """A pool that works through a file of items."""

    request_queue_size = BACKLOG

    def __init__(self, items: int, records: int, workers: int) -> None:
        self.items, self.records, self.max_children = items, records, workers
        self.cpu = 0.0
        super().__init__(("127.0.0.1", 0), ScriptedHandler)

    def worker_started(self) -> None:
        self.cpu = time.thread_time()

    def finish_request(self, request: Any, client_address: Any) -> None:
        began, cpu = time.monotonic(), time.thread_time()
        super().finish_request(request, client_address)
        took, cpu_after = time.monotonic() - began, time.thread_time()
        os.write(self.records, RECORD.pack(cpu_after - self.cpu, took - (cpu_after - cpu)))
        self.cpu = cpu_after


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("items")
    parser.add_argument("records")
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    items = os.open(options.items, os.O_RDONLY)
    records = os.open(options.records, os.O_WRONLY | os.O_APPEND)
    with ScriptedServer(items, records, options.workers) as server:
        announce(server)
        server.serve_forever()


if __name__ == "__main__":
    main()
