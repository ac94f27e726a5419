"""The client processes, as the command sees them: started once, and given orders."""

from __future__ import annotations

import contextlib
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from prefork.cli.load.children import ChildFailed, child
from prefork.cli.load.cpu import waited_by_tree
from prefork.cli.load.orders import Measured, Order
from prefork.cli.outcomes import Refusal
from prefork.readings.cpu import used_by_process

CLIENTS = "prefork.cli.load.clients"
CALLERS = "prefork.cli.load.callers"
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
                raise Refusal(measured.reason)

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


@contextlib.contextmanager
def callers(processes: int, target: str, folder: Path) -> Iterator[Drivers]:
    """So many processes, one client each, that call a function of the user's.

    Errors: `Refusal` when there is no such function in `folder`, or on Python's path.
    """
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(child(CALLERS, target, folder.resolve())) for _ in range(processes)
        ]
        yield Drivers(started)
