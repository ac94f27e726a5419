"""The measured servers of both modules, the standard library's `socketserver` and prefork.

    python -I socketservers.py KIND HANDLER [--workers N] [option ...]

The program prints its port. It runs isolated (-I): `socketserver` is then the standard library's
module, not the folder of that name at the root of the checkout. `prefork` is found through the
last entry of the path.
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
import socketserver
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.servers.handlers import HANDLERS, HandlerSpec
from benchmarks.servers.object_graph import ballast

BACKLOG = 1024
"""The backlog of every server; with the documented 5, clients would wait for retransmissions."""


@dataclass(frozen=True)
class ServerTask:
    """What to serve, and the number of workers."""

    spec: HandlerSpec
    attributes: dict[str, Any]
    """Attributes of the handler class."""
    workers: int

    def handler(self, module: ModuleType) -> type[Any]:
        """Return the handler class for a module."""
        base = getattr(module, self.spec.base)
        return type(self.spec.mixin.__name__, (self.spec.mixin, base), self.attributes)

    def server(self, module: ModuleType, prefix: str, **attributes: Any) -> Any:
        """Return an instance of the server class with a prefix, such as `PreforkTCPServer`."""
        base = getattr(module, f"{prefix}{self.spec.transport}Server")
        kind = type("Server", (base,), {"request_queue_size": BACKLOG, **attributes})
        return kind(("127.0.0.1", 0), self.handler(module))


def prefork_server(task: ServerTask, **settings: Any) -> None:
    """Serve with a pool in its default configuration, except for the given settings."""
    import prefork

    attributes = {
        "max_children": task.workers,
        "prefork_settings": prefork.Settings(**settings),
    }
    serve(task.server(prefork, "Prefork", **attributes))


def threaded_server(task: ServerTask) -> None:
    """Serve with a pool whose workers have a thread for each request."""
    import prefork

    class ThreadedPool(prefork.PreforkMixIn, prefork.ThreadingTCPServer):
        max_children = task.workers
        request_queue_size = BACKLOG

    serve(ThreadedPool(("127.0.0.1", 0), task.handler(prefork)))


def standard_server(task: ServerTask, prefix: str) -> None:
    """Serve with the standard library: with a process or a thread for each request, or neither."""
    serve(task.server(socketserver, prefix))


def looped_server(task: ServerTask) -> None:
    """Loop over the standard library's path of one request in forked processes, and do nothing
    else: no messages, limits or scoreboard. The difference from this is what a pool adds."""
    with task.server(socketserver, "") as server:
        one_request: Callable[[], None] = vars(socketserver.BaseServer)[
            "_handle_request_noblock"
        ].__get__(server)
        pids: list[int] = []
        try:
            while len(pids) < task.workers:
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


def serve(server: Any) -> None:
    with server:
        announce(server)
        server.serve_forever()


def announce(server: Any) -> None:
    """Print the port."""
    print(server.server_address[1], flush=True)


def pool(**settings: Any) -> Callable[[ServerTask], None]:
    return functools.partial(prefork_server, **settings)


def standard(prefix: str) -> Callable[[ServerTask], None]:
    return functools.partial(standard_server, prefix=prefix)


KINDS: dict[str, Callable[[ServerTask], None]] = {
    "prefork": pool(),
    "lifo": pool(idle_order="lifo"),
    "handoff": pool(strategy="handoff"),
    "reuseport": pool(strategy="reuseport"),
    "fork": pool(strategy="fork"),
    "ahead": pool(strategy="fork", fork_ahead=2),
    "recycled": pool(max_requests=50),
    "threaded": threaded_server,
    "forking": standard("Forking"),
    "threading": standard("Threading"),
    "plain": standard(""),
    "looped": looped_server,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("handler", choices=HANDLERS)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--loops", type=int, default=0, help="loops of `burn`")
    parser.add_argument("--seconds", type=float, default=0.0, help="the wait of `wait`")
    parser.add_argument("--size", type=int, default=0, help="bytes of an answer of `large`")
    parser.add_argument("--ballast", type=int, default=0, help="megabytes of objects in the master")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    kept = ballast(options.ballast)
    attributes = {
        "loops": options.loops,
        "seconds": options.seconds,
        "answer": bytes(options.size),
    }
    KINDS[options.kind](ServerTask(HANDLERS[options.handler], attributes, options.workers))
    del kept


if __name__ == "__main__":
    main()
