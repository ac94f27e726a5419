"""The servers of the demo, each in a process of its own that ends with its standard input."""

from __future__ import annotations

import select
import sys
from typing import Any

from prefork.cli.demo.highlight import Highlight, as_html, sample
from prefork.cli.target.standard_library import standard_library
from prefork.loadtest.processes import say
from prefork.socketserver import PreforkTCPServer

POLL_INTERVAL = 0.1


def server_class(kind: str) -> Any:
    """The class called `kind`: the pool is ours, all others are the standard library's."""
    if kind == PreforkTCPServer.__name__:
        return PreforkTCPServer
    return getattr(standard_library(), kind)


def main() -> None:
    """`KIND WORKERS`: announce the port on standard output, then serve."""
    kind, workers = sys.argv[1], int(sys.argv[2])

    class Contender(server_class(kind)):  # type: ignore[misc]
        if workers:
            max_children = workers

        def service_actions(self) -> None:
            super().service_actions()
            if select.select([0], [], [], 0)[0]:
                # As from a handler: this is the loop's own thread.
                self._BaseServer__shutdown_request = True

    as_html(sample())  # whatever is only done once is done before the first fork
    with Contender(("127.0.0.1", 0), Highlight) as server:
        say(str(server.server_address[1]), 1)
        server.serve_forever(POLL_INTERVAL)
