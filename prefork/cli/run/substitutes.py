"""`prefork run --pool`: pools in the place of the mix-ins that a program is going to import."""

from __future__ import annotations

from typing import Any

import prefork.socketserver as api
from prefork.cli.options import PoolOptions, check_least
from prefork.readings.cores import usable_cores
from prefork.settings import Settings
from prefork.socketserver import PreforkMixIn, ThreadingMixIn

KINDS = ("TCPServer", "UDPServer", "UnixStreamServer", "UnixDatagramServer")


def put_pools_in_place(options: PoolOptions) -> None:
    """Have `ForkingMixIn`, `ThreadingMixIn` and their ready-made servers be pools from now on.

    Errors: `Refusal`.
    """
    most = options.max_children or usable_cores()
    settings = options.over(Settings())
    check_least(settings, most)
    attributes: dict[str, Any] = {
        "__module__": "socketserver",
        "max_children": most,
        "prefork_settings": settings,
    }
    replace("Forking", type("ForkingMixIn", (_InsteadOfProcesses,), dict(attributes)))
    instead = _WithThreads if options.with_threads else _InsteadOfThreads
    replace("Threading", type("ThreadingMixIn", (instead,), dict(attributes)))


def replace(prefix: str, mixin: type) -> None:
    """Put `mixin` and servers made with it under the documented names."""
    setattr(api, f"{prefix}MixIn", mixin)
    for kind in KINDS:
        name = f"{prefix}{kind}"
        setattr(api, name, type(name, (mixin, getattr(api, kind)), {"__module__": "socketserver"}))


class _InsteadOfProcesses(PreforkMixIn):
    """Stands for `ForkingMixIn`. A class of its own: a program may combine it with the other."""


class _InsteadOfThreads(PreforkMixIn):
    """Stands for `ThreadingMixIn`: each worker serves one request at a time, in no thread.

    What programs set and call on the mix-in is there, with its meaning.
    """

    daemon_threads = False

    # For programs that bring requests here by themselves.
    process_request_thread = ThreadingMixIn.process_request_thread

    def _prefork_has_threads(self) -> bool:
        return False


class _WithThreads(PreforkMixIn, ThreadingMixIn):
    """Stands for `ThreadingMixIn` with `--threads`: the threads of each worker are bounded."""
