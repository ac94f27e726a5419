"""A pool whose workers are killed or weighed by a measurement.

    python -I fault_server.py HANDLER [--workers N] [--settings JSON] [...]

The program prints its port. SIGUSR1 reduces the pool to one worker.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.servers.object_graph import ObjectGraph
from benchmarks.servers.socketservers import BACKLOG, announce
from prefork import BaseRequestHandler, PreforkTCPServer, Settings


class Gated:
    """Sends the process ID of the worker at once, and the rest when the gate opens.

    The gate is a file: it is closed while another process holds its lock.
    """

    request: socket.socket
    gate: str

    def handle(self) -> None:
        self.request.sendall(b"%d\n" % os.getpid())
        with open(self.gate) as gate:
            fcntl.flock(gate, fcntl.LOCK_SH)
        self.request.sendall(b"served\n")


class Weighed:
    """Touches a part of an object graph for each line from the client: `5 together` or `5 apart`,
    in percent.

    Each answer has two process IDs: that of the worker, and that of the process that built the
    graph.
    """

    request: socket.socket
    graph: ObjectGraph

    def handle(self) -> None:
        with self.request.makefile("rw") as lines:
            for line in lines:
                percent, how = line.split()
                self.graph.build()
                self.graph.touch(float(percent), apart=how == "apart")
                lines.write(f"{os.getpid()} {self.graph.builder}\n")
                lines.flush()


FAULT_HANDLERS: dict[str, type[Any]] = {"gated": Gated, "weighed": Weighed}


def serve(
    handler: type[Any], workers: int, settings: dict[str, Any], built_first: ObjectGraph | None
) -> None:
    """Serve with a pool in which each worker builds a graph before its first request."""

    class FaultServer(PreforkTCPServer):
        max_children = workers
        request_queue_size = BACKLOG
        prefork_settings = Settings(**settings)

        def worker_started(self) -> None:
            if built_first is not None:
                built_first.build()

    with FaultServer(("127.0.0.1", 0), handler) as server:

        def reduce_to_one(number: int, frame: object) -> None:
            server.max_children = 1

        signal.signal(signal.SIGUSR1, reduce_to_one)
        announce(server)
        server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("handler", choices=FAULT_HANDLERS)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--gate", default="", help="the file whose lock `gated` waits for")
    parser.add_argument("--graph", type=int, default=0, help="megabytes of objects of `weighed`")
    parser.add_argument("--built", choices=("master", "start", "request"), default="request")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    # The measurement kills workers itself, so their deaths need not be logged.
    logging.getLogger("prefork").setLevel(logging.CRITICAL)
    graph = ObjectGraph(options.graph)
    if options.built == "master":
        graph.build()
    mixin = FAULT_HANDLERS[options.handler]
    attributes = {"gate": options.gate, "graph": graph}
    serve(
        type(mixin.__name__, (mixin, BaseRequestHandler), attributes),
        options.workers,
        options.settings,
        graph if options.built == "start" else None,
    )


if __name__ == "__main__":
    main()
