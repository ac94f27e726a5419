"""A pool whose workers are killed, or weighed; a program that prints its port.

    python -I situations.py HANDLER [--workers N] [--settings JSON] [...]

SIGUSR1 leaves it one worker.
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

sys.path.append(str(Path(__file__).resolve().parent.parent))

from benchmarks.graph import Graph
from benchmarks.serve import BACKLOG, announce
from prefork import BaseRequestHandler, PreforkTCPServer, Settings


class Gated:
    """Says at once who has the connection, and finishes when the gate is opened."""

    request: socket.socket
    gate: str

    def handle(self) -> None:
        self.request.sendall(b"%d\n" % os.getpid())
        with open(self.gate) as gate:
            fcntl.flock(gate, fcntl.LOCK_SH)
        self.request.sendall(b"served\n")


class Weighed:
    """Holds a graph of objects and touches as much of it as the client says, line by line:
    `5 together` or `5 apart`, in percent.

    Each answer says who serves, and who has built the graph that is held there.
    """

    request: socket.socket
    graph: Graph

    def handle(self) -> None:
        with self.request.makefile("rw") as lines:
            for line in lines:
                percent, how = line.split()
                self.graph.build()
                self.graph.touch(float(percent), apart=how == "apart")
                lines.write(f"{os.getpid()} {self.graph.builder}\n")
                lines.flush()


HANDLERS: dict[str, type[Any]] = {"gated": Gated, "weighed": Weighed}


def serve(handler: type[Any], workers: int, settings: dict[str, Any], builds: Graph | None) -> None:
    """A pool, each worker of which first builds the graph that it is given."""

    class Server(PreforkTCPServer):
        max_children = workers
        request_queue_size = BACKLOG
        prefork_settings = Settings(**settings)

        def worker_started(self) -> None:
            if builds is not None:
                builds.build()

    with Server(("127.0.0.1", 0), handler) as server:

        def leave_one(number: int, frame: object) -> None:
            server.max_children = 1

        signal.signal(signal.SIGUSR1, leave_one)
        announce(server)
        server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("handler", choices=HANDLERS)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--gate", default="", help="the file whose lock `gated` waits for")
    parser.add_argument("--graph", type=int, default=0, help="megabytes that `weighed` holds")
    parser.add_argument("--built", choices=("master", "start", "request"), default="request")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    logging.getLogger("prefork").setLevel(logging.CRITICAL)  # it is known who is killed
    graph = Graph(options.graph)
    if options.built == "master":
        graph.build()
    mixin = HANDLERS[options.handler]
    attributes = {"gate": options.gate, "graph": graph}
    serve(
        type(mixin.__name__, (mixin, BaseRequestHandler), attributes),
        options.workers,
        options.settings,
        graph if options.built == "start" else None,
    )


if __name__ == "__main__":
    main()
