"""The handlers that `prefork tune` is measured with: one computes, one waits, one does both.

The number of loops in a millisecond comes from the environment, so that it is the same in all runs.
"""

from __future__ import annotations

import os
import time

from benchmarks.servers.handlers import work
from prefork import StreamRequestHandler

LOOPS = "LOOPS_OF_A_MILLISECOND"
A_MILLISECOND = int(os.environ.get(LOOPS, "0"))


class Computes(StreamRequestHandler):
    """10 ms of CPU."""

    def handle(self) -> None:
        line = self.rfile.readline()
        work(10 * A_MILLISECOND)
        self.wfile.write(line)


class Waits(StreamRequestHandler):
    """A wait of 20 ms, as for a database."""

    def handle(self) -> None:
        line = self.rfile.readline()
        time.sleep(0.020)
        self.wfile.write(line)


class DoesBoth(StreamRequestHandler):
    """5 ms of CPU, with a wait of 15 ms in between."""

    def handle(self) -> None:
        line = self.rfile.readline()
        work(3 * A_MILLISECOND)
        time.sleep(0.015)
        work(2 * A_MILLISECOND)
        self.wfile.write(line)
