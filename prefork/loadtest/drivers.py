"""Controls the client processes: they are started once and then execute orders."""

from __future__ import annotations

import contextlib
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

from prefork.loadtest.process_tree import waited_by_tree
from prefork.loadtest.processes import ChildFailed, StartRefused, child
from prefork.loadtest.protocol import Measured, Order
from prefork.readings.cpu import used_by_process

CLIENTS = "prefork.loadtest.clients"
TICK = 0.1
"""Seconds between two progress reports."""

Progress = Callable[[float], object]
"""Called with the share of the time that has passed."""


class Drivers:
    """Client processes that share each order. They fork nothing and are idle between orders."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes
        for measured in map(self._answer, processes):
            if measured.failures:
                raise StartRefused(measured.reason)

    def drive(self, order: Order, progress: Progress = lambda share: None) -> Measured:
        """Have the clients execute an order, and return their combined measurements.

        Errors: `ChildFailed` if a client process has exited.
        """
        shares = order.shared_by(len(self._processes))
        began = time.monotonic()
        working = {}
        for process, share in zip(self._processes, shares, strict=False):
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # reported when its answer is missing
                process.stdin.write(share.line() + "\n")
                process.stdin.flush()
            working[process.stdout.fileno()] = process
        total = Measured()
        while working:
            for ready in select.select(list(working), [], [], TICK)[0]:
                total += self._answer(working.pop(ready))
            if whole := order.warm_up + order.seconds:
                progress(min(1.0, (time.monotonic() - began) / whole))
        return total

    def used(self) -> float:
        """Return the seconds of CPU that the clients have used so far."""
        return sum(used_by_process(process.pid) for process in self._processes)

    def waited(self) -> float:
        """Return the seconds for which the clients have waited for a core so far."""
        return sum(waited_by_tree(process.pid) for process in self._processes)

    @staticmethod
    def _answer(process: subprocess.Popen[str]) -> Measured:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ChildFailed("A client process has exited unexpectedly.")
        return Measured.of(line)


@contextlib.contextmanager
def drivers(processes: int) -> Iterator[Drivers]:
    """Start that number of client processes, whose clients perform an `Exchange`."""
    with contextlib.ExitStack() as stack:
        yield Drivers([stack.enter_context(child(CLIENTS)) for _ in range(processes)])
