"""The Python servers that are measured; a program of its own, which prints its port.

    python -I serve.py KIND HANDLER [--workers N] [--loops N] [--ballast MB]

It is run isolated (-I), so that `socketserver` is the standard library's and not the folder of
that name at the root of the checkout; `prefork` is found there by a path that comes last.
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import signal
import socket
import socketserver
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

BACKLOG = 1024
"""For every server: with the documented 5, clients would wait for a second try of the kernel."""


HandlerMaker = Callable[[type], type[Any]]
"""Makes the handler class on a base class, the documented one or ours."""


class Echo:
    """The documented example: what comes goes back."""

    request: socket.socket

    def handle(self) -> None:
        self.request.sendall(self.request.recv(1024))


class Pid:
    """Says which process serves; it asks for nothing, so it never waits for the client."""

    request: socket.socket

    def handle(self) -> None:
        self.request.sendall(b"%d" % os.getpid())


class Burn:
    """The same with work in between that keeps the interpreter, and a core, busy."""

    request: socket.socket
    loops: int

    def handle(self) -> None:
        data = self.request.recv(1024)
        work(self.loops)
        self.request.sendall(data)


def work(loops: int) -> int:
    total = 0
    for number in range(loops):
        total = (total * 31 + number) & 0xFFFF
    return total


def ballast(megabytes: int) -> list[object]:
    """So much memory in small objects, as an application has that has loaded its data."""
    page = resource.getpagesize()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page

    objects: list[object] = []
    wanted = resident() + megabytes * 1_000_000
    while megabytes and resident() < wanted:
        start = len(objects)
        objects += [(number, str(number), {"n": number}) for number in range(start, start + 5000)]
    return objects


def prefork_server(handler: HandlerMaker, workers: int, **settings: Any) -> None:
    """Ours, with all that it does by default, but for some settings."""
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    from prefork import BaseRequestHandler, PreforkTCPServer, Settings

    class Server(PreforkTCPServer):
        max_children = workers
        request_queue_size = BACKLOG
        prefork_settings = Settings(**settings)

    with Server(("127.0.0.1", 0), handler(BaseRequestHandler)) as server:
        announce(server)
        server.serve_forever()


def forking_server(handler: HandlerMaker, workers: int) -> None:
    """The standard library's, with a new process for each request."""

    class Server(socketserver.ForkingTCPServer):
        request_queue_size = BACKLOG

    with Server(("127.0.0.1", 0), handler(socketserver.BaseRequestHandler)) as server:
        announce(server)
        server.serve_forever()


def looped_server(handler: HandlerMaker, workers: int) -> None:
    """The standard library's path of one request and nothing else, looped in forked processes: no
    orders, no limits, no scoreboard. What a pool adds is the difference to this."""

    class Server(socketserver.TCPServer):
        request_queue_size = BACKLOG

    with Server(("127.0.0.1", 0), handler(socketserver.BaseRequestHandler)) as server:
        one_request: Callable[[], None] = vars(socketserver.BaseServer)[
            "_handle_request_noblock"
        ].__get__(server)
        pids: list[int] = []
        try:
            while len(pids) < workers:
                pid = os.fork()
                if pid == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    while True:
                        one_request()
                pids.append(pid)
            announce(server)
            signal.pause()
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)


def announce(server: Any) -> None:
    print(server.server_address[1], flush=True)


def with_settings(**settings: Any) -> Callable[[HandlerMaker, int], None]:
    return functools.partial(prefork_server, **settings)


KINDS = {
    "prefork": prefork_server,
    "hot": with_settings(order="hot"),
    "handoff": with_settings(strategy="handoff"),
    "reuseport": with_settings(strategy="reuseport"),
    "fork": with_settings(strategy="fork"),
    "ahead": with_settings(strategy="fork", spare=2),
    "recycled": with_settings(max_requests=50),
    "forking": forking_server,
    "looped": looped_server,
}
HANDLERS = {"echo": Echo, "burn": Burn, "pid": Pid}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("handler", choices=HANDLERS)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--loops", type=int, default=0)
    parser.add_argument("--ballast", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    kept = ballast(options.ballast)
    mixin = HANDLERS[options.handler]

    def handler(base: type) -> type[Any]:
        return type(mixin.__name__, (mixin, base), {"loops": options.loops})

    KINDS[options.kind](handler, options.workers)
    del kept


if __name__ == "__main__":
    main()
