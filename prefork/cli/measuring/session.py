"""What a measurement under load needs around it: clients, and an end in words whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console

from prefork.cli.measuring.callers import callers
from prefork.cli.measuring.options import LoadOptions
from prefork.cli.outcomes import Exit, Refusal
from prefork.loadtest.drivers import Drivers, drivers
from prefork.loadtest.hosted_server import RequestFailed
from prefork.loadtest.processes import ChildFailed, StartRefused
from prefork.readings.cores import usable_cores

MOST_CALLERS = 32
"""Processes of a --client, unless a number is said."""
LONGEST_SHOWN = 40
"""Bytes of a request that are shown."""
NO_ANSWER = (
    "The answer to this request is empty: a request counts as served when its connection is closed "
    "by the handler."
)


def attempt(name: str, console: Console, command: Callable[[], Exit]) -> Exit:
    """The exit code of a whole command: its own, or that of its early end, which is said.

    Errors: `Refusal`.
    """
    try:
        return command()
    except KeyboardInterrupt:
        console.print(f"Interrupted; every process of the {name} has ended.")
        return Exit.INTERRUPTED
    except StartRefused as refused:
        raise Refusal(str(refused)) from None
    except (ChildFailed, RequestFailed) as failure:
        Console(stderr=True).print(str(failure), markup=False, highlight=False, soft_wrap=True)
        return Exit.FORCED


@contextlib.contextmanager
def clients_for(options: LoadOptions, most: int) -> Iterator[Drivers]:
    """Processes that can be so many clients at a time; with a --client, so many processes.

    Errors: `Refusal`, `ChildFailed`.
    """
    if options.client is not None:
        with callers(most, options.client, options.app_dir) as load:
            yield load
    else:
        with drivers(min(most, max(1, usable_cores() // 2))) as load:
            yield load


def request_shown(options: LoadOptions) -> str:
    """A sentence for the request, or nothing where there is none."""
    return "" if options.request is None else f" The request: {shortened(options.request)}."


def shortened(request: bytes) -> str:
    """As much of it as shows whether it is what was meant: the name of a file that is not there
    would be sent as a text."""
    if len(request) <= LONGEST_SHOWN:
        return repr(request)[1:]
    return f"{repr(request[:LONGEST_SHOWN])[1:]} and so on, {len(request)} bytes"
