"""The clients of a measuring command, and the exit code and message for each way that it ends."""

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
"""Maximum number of processes for --client, unless an option sets their number."""
LONGEST_SHOWN = 40
"""Maximum number of bytes of a request that are shown."""
NO_ANSWER = (
    "The answer to this request is empty: a request counts as served when the handler closes its "
    "connection."
)


def attempt(name: str, console: Console, command: Callable[[], Exit]) -> Exit:
    """Run a whole command and return its exit code; report an early end in a sentence.

    Errors: `Refusal`.
    """
    try:
        return command()
    except KeyboardInterrupt:
        console.print(f"Interrupted; every process of `prefork {name}` has ended.")
        return Exit.INTERRUPTED
    except StartRefused as refused:
        raise Refusal(str(refused)) from None
    except (ChildFailed, RequestFailed) as failure:
        Console(stderr=True).print(str(failure), markup=False, highlight=False, soft_wrap=True)
        return Exit.FORCED


@contextlib.contextmanager
def clients_for(options: LoadOptions, most: int) -> Iterator[Drivers]:
    """Yield drivers for `most` concurrent clients; with --client, each client is a process.

    Errors: `StartRefused`, `ChildFailed`.
    """
    if options.client is not None:
        with callers(most, options.client, options.app_dir) as load:
            yield load
    else:
        with drivers(min(most, max(1, usable_cores() // 2))) as load:
            yield load


def request_shown(options: LoadOptions) -> str:
    """Return a sentence that shows the request, or "" if there is no request."""
    return "" if options.request is None else f" The request: {shortened(options.request)}."


def shortened(request: bytes) -> str:
    """Return the beginning of the request: it reveals a misspelled file name, sent as text."""
    if len(request) <= LONGEST_SHOWN:
        return repr(request)[1:]
    return f"{repr(request[:LONGEST_SHOWN])[1:]}... ({len(request)} bytes)"
