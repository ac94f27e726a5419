"""What `prefork tune` is measured with: handlers that compute, that wait, and that do both.

How many loops are a millisecond is in the environment, so that it is the same in every run.
"""

from __future__ import annotations

import os
import time

from benchmarks.handlers import work
from prefork import StreamRequestHandler

LOOPS = "LOOPS_OF_A_MILLISECOND"
A_MILLISECOND = int(os.environ.get(LOOPS, "0"))


class Computes(StreamRequestHandler):
    """10 ms on a core."""

    def handle(self) -> None:
        line = self.rfile.readline()
        work(10 * A_MILLISECOND)
        self.wfile.write(line)


class Waits(StreamRequestHandler):
    """20 ms for something else, as for a database."""

    def handle(self) -> None:
        line = self.rfile.readline()
        time.sleep(0.020)
        self.wfile.write(line)


class DoesBoth(StreamRequestHandler):
    """5 ms on a core, 15 ms for something else in between."""

    def handle(self) -> None:
        line = self.rfile.readline()
        work(3 * A_MILLISECOND)
        time.sleep(0.015)
        work(2 * A_MILLISECOND)
        self.wfile.write(line)
