"""How peers start that differ in little else: told how many workers, they print their port."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

BACKLOG = 1024


def serve_pool(server_class: type[Any], handler: type[Any]) -> None:
    """Serve with a pool of ours."""
    workers = told_workers()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    server_class.request_queue_size = BACKLOG
    with server_class(("127.0.0.1", 0), handler) as server:
        server.max_children = workers
        print(server.server_address[1], flush=True)
        server.serve_forever()


def become(command: Callable[[int, int], list[str]]) -> None:
    """Become the program that serves on a listener which it inherits; `command` is given its
    descriptor and the number of workers."""
    workers = told_workers()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    print(listener.getsockname()[1], flush=True)
    words = command(listener.fileno(), workers)
    os.execv(words[0], words)


def told_workers() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    return int(parser.parse_args().workers)
