"""The client processes, as the command sees them: started once, and given orders."""

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
"""Seconds between two looks at the progress."""

Progress = Callable[[float], object]
"""Called with the share of the time that has gone by."""


class Drivers:
    """Client processes that share each order. They fork nothing, and sleep between two orders."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes
        for measured in map(self._answer, processes):
            if measured.failures:
                raise StartRefused(measured.reason)

    def drive(self, order: Order, progress: Progress = lambda share: None) -> Measured:
        """What they have measured together, when the last of them has.

        Errors: `ChildFailed`.
        """
        shares = order.shared_by(len(self._processes))
        began = time.monotonic()
        working = {}
        for process, share in zip(self._processes, shares, strict=False):
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # its missing answer says it
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
        """Seconds of CPU that they have used so far."""
        return sum(used_by_process(process.pid) for process in self._processes)

    def waited(self) -> float:
        """Seconds that they have waited for a core so far."""
        return sum(waited_by_tree(process.pid) for process in self._processes)

    @staticmethod
    def _answer(process: subprocess.Popen[str]) -> Measured:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ChildFailed("A process of clients has ended too early.")
        return Measured.of(line)


@contextlib.contextmanager
def drivers(processes: int) -> Iterator[Drivers]:
    """So many processes of clients that do an `Exchange`."""
    with contextlib.ExitStack() as stack:
        yield Drivers([stack.enter_context(child(CLIENTS)) for _ in range(processes)])
