"""The servers of both modules that are measured; a program of its own, which prints its port.

    python -I serve.py KIND HANDLER [--workers N] [option ...]

It is run isolated (-I), so that `socketserver` is the standard library's and not the folder of
that name at the root of the checkout; `prefork` is found there by a path that comes last.
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import signal
import socketserver
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

from benchmarks.handlers import SERVICES, Service

BACKLOG = 1024
"""For every server: with the documented 5, clients would wait for a second try of the kernel."""


@dataclass(frozen=True)
class Task:
    """What is to be served, and by how many."""

    service: Service
    attributes: dict[str, Any]
    """Of the handler class."""
    workers: int

    def handler(self, module: ModuleType) -> type[Any]:
        base = getattr(module, self.service.base)
        return type(self.service.mixin.__name__, (self.service.mixin, base), self.attributes)

    def server(self, module: ModuleType, prefix: str, **attributes: Any) -> Any:
        """An instance of the class that is called so, `PreforkTCPServer` for `Prefork`."""
        base = getattr(module, f"{prefix}{self.service.transport}Server")
        kind = type("Server", (base,), {"request_queue_size": BACKLOG, **attributes})
        return kind(("127.0.0.1", 0), self.handler(module))


def prefork_server(task: Task, **settings: Any) -> None:
    """Ours, with all that it does by default, but for some settings."""
    import prefork

    attributes = {
        "max_children": task.workers,
        "prefork_settings": prefork.Settings(**settings),
    }
    serve(task.server(prefork, "Prefork", **attributes))


def threaded_server(task: Task) -> None:
    """Ours, a pool whose workers serve in threads."""
    import prefork

    class Server(prefork.PreforkMixIn, prefork.ThreadingTCPServer):
        max_children = task.workers
        request_queue_size = BACKLOG

    serve(Server(("127.0.0.1", 0), task.handler(prefork)))


def standard_server(task: Task, prefix: str) -> None:
    """The standard library's: a process for each request, a thread for each, or neither."""
    serve(task.server(socketserver, prefix))


def looped_server(task: Task) -> None:
    """The standard library's path of one request and nothing else, looped in forked processes: no
    orders, no limits, no scoreboard. What a pool adds is the difference to this."""
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
    print(server.server_address[1], flush=True)


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


def ours(**settings: Any) -> Callable[[Task], None]:
    return functools.partial(prefork_server, **settings)


def standard(prefix: str) -> Callable[[Task], None]:
    return functools.partial(standard_server, prefix=prefix)


KINDS: dict[str, Callable[[Task], None]] = {
    "prefork": ours(),
    "lifo": ours(idle_order="lifo"),
    "handoff": ours(strategy="handoff"),
    "reuseport": ours(strategy="reuseport"),
    "fork": ours(strategy="fork"),
    "ahead": ours(strategy="fork", fork_ahead=2),
    "recycled": ours(max_requests=50),
    "threaded": threaded_server,
    "forking": standard("Forking"),
    "threading": standard("Threading"),
    "plain": standard(""),
    "looped": looped_server,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("handler", choices=SERVICES)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--loops", type=int, default=0, help="turns that `burn` makes")
    parser.add_argument("--seconds", type=float, default=0.0, help="that `wait` waits")
    parser.add_argument("--size", type=int, default=0, help="bytes that `large` answers")
    parser.add_argument("--ballast", type=int, default=0, help="megabytes in the master")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    kept = ballast(options.ballast)
    attributes = {
        "loops": options.loops,
        "seconds": options.seconds,
        "answer": bytes(options.size),
    }
    KINDS[options.kind](Task(SERVICES[options.handler], attributes, options.workers))
    del kept


if __name__ == "__main__":
    main()
