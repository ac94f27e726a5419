"""The servers whose processes are watched, killed and weighed; a program that prints its port.

    python -I situations.py SERVER HANDLER [--workers N] [--ballast MB] [--settings JSON] [...]

As serve.py it is run isolated, so that `socketserver` is the standard library's. SIGUSR1 leaves a
pool one worker.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import signal
import socket
import socketserver
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

from benchmarks.graph import Graph
from benchmarks.serve import BACKLOG, announce, ballast


class Pid:
    """Says which process serves; it asks for nothing, so it never waits for the client."""

    request: socket.socket

    def handle(self) -> None:
        self.request.sendall(b"%d" % os.getpid())


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


HANDLERS: dict[str, type[Any]] = {"pid": Pid, "gated": Gated, "weighed": Weighed}


@dataclass(frozen=True)
class Order:
    """What is to be served, and how."""

    handler: type[Any]
    attributes: dict[str, Any]
    """Of the handler class."""
    workers: int
    settings: dict[str, Any]
    graph: Graph
    builds_at_start: bool
    """Whether each worker builds the graph before its first request."""

    def handler_on(self, base: type) -> type[Any]:
        return type(self.handler.__name__, (self.handler, base), self.attributes)


def pool(order: Order) -> None:
    from prefork import BaseRequestHandler, PreforkTCPServer, Settings

    class Server(PreforkTCPServer):
        max_children = order.workers
        request_queue_size = BACKLOG
        prefork_settings = Settings(**order.settings)

        def worker_started(self) -> None:
            if order.builds_at_start:
                order.graph.build()

    with Server(("127.0.0.1", 0), order.handler_on(BaseRequestHandler)) as server:

        def leave_one(number: int, frame: object) -> None:
            server.max_children = 1

        signal.signal(signal.SIGUSR1, leave_one)
        announce(server)
        server.serve_forever()


def forking(order: Order) -> None:
    """The standard library's, with a new process for each request."""

    class Server(socketserver.ForkingTCPServer):
        request_queue_size = BACKLOG

    with Server(("127.0.0.1", 0), order.handler_on(socketserver.BaseRequestHandler)) as server:
        announce(server)
        server.serve_forever()


SERVERS: dict[str, Callable[[Order], None]] = {"pool": pool, "forking": forking}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server", choices=SERVERS)
    parser.add_argument("handler", choices=HANDLERS)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--ballast", type=int, default=0, help="megabytes in the master")
    parser.add_argument("--gate", default="", help="the file whose lock `gated` waits for")
    parser.add_argument("--graph", type=int, default=0, help="megabytes that `weighed` holds")
    parser.add_argument("--built", choices=("master", "start", "request"), default="request")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    logging.getLogger("prefork").setLevel(logging.ERROR)  # it is known who is killed
    graph = Graph(options.graph)
    if options.built == "master":
        graph.build()
    kept = ballast(options.ballast)
    order = Order(
        handler=HANDLERS[options.handler],
        attributes={"gate": options.gate, "graph": graph},
        workers=options.workers,
        settings=options.settings,
        graph=graph,
        builds_at_start=options.built == "start",
    )
    SERVERS[options.server](order)
    del kept


if __name__ == "__main__":
    main()
