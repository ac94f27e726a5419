"""The start of a peer: reads the number of workers, and prints the port."""

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
    """Serve with a prefork pool."""
    workers = workers_option()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    server_class.request_queue_size = BACKLOG
    with server_class(("127.0.0.1", 0), handler) as server:
        server.max_children = workers
        print(server.server_address[1], flush=True)
        server.serve_forever()


def become(command: Callable[[int, int], list[str]]) -> None:
    """Replace this process by a server on an inherited listener.

    `command` gets the descriptor of the listener and the number of workers.
    """
    workers = workers_option()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    print(listener.getsockname()[1], flush=True)
    words = command(listener.fileno(), workers)
    os.execv(words[0], words)


def workers_option() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    return int(parser.parse_args().workers)
