"""Clients that repeatedly call a function of the user, which performs one exchange."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prefork.cli.outcomes import Refusal
from prefork.cli.target import loading
from prefork.loadtest.drivers import Drivers
from prefork.loadtest.processes import child, own_output, say
from prefork.loadtest.protocol import BusyClock, Measured, Order, Recorder


def call(function: Callable[[Any], object], order: Order) -> Measured:
    """Call `function(address)` for as long as the order says; an exception is a failure."""
    clock = BusyClock()
    recorder = Recorder.of(order)
    while True:
        began = time.perf_counter()
        try:
            function(order.address)
        except Exception as error:
            recorder.failed(user_part(error))
        else:
            recorder.served(began, time.perf_counter(), 0)
        now = time.perf_counter()
        if now >= recorder.end or recorder.is_hopeless:
            return recorder.measured(now, clock.busy)


def user_part(error: Exception) -> str:
    """Return the traceback, starting at the user's function."""
    trace = error.__traceback__
    return "".join(traceback.format_exception(error.with_traceback(trace and trace.tb_next)))


def callable_here(target: str, folder: str) -> Callable[[Any], object]:
    """Import the function that `target` names.

    Errors: `Refusal`.
    """
    loading.look_in(Path(folder))
    found = loading.load(target, callable)
    if not callable(found):
        raise Refusal(f"{target} is not callable: it is of type {type(found).__name__}.")
    function: Callable[[Any], object] = found
    return function


@contextlib.contextmanager
def callers(processes: int, target: str, folder: Path) -> Iterator[Drivers]:
    """Yield the drivers of that many processes, each of them one client that calls `target`.

    Errors: `StartRefused` if there is no such function in `folder` or on Python's path.
    """
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(child(__name__, target, folder.resolve())) for _ in range(processes)
        ]
        yield Drivers(started)


def main() -> None:
    """`TARGET FOLDER`: execute orders from standard input, and answer each with a line.

    The first line says what is wrong with TARGET, if anything.
    """
    answers = own_output()
    try:
        function = callable_here(*sys.argv[1:3])
    except Refusal as refusal:
        say(Measured(failures=1, reason=str(refusal)).line(), answers)
        raise SystemExit(1) from None
    say(Measured().line(), answers)
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=[orders], daemon=True).start()
    while True:
        say(call(function, Order.of(orders.get())).line(), answers)


def _listen(orders: queue.SimpleQueue[str]) -> None:
    """Queue the orders; exit when the command exits, even if the function is still waiting."""
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)
