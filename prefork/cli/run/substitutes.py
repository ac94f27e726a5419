"""`prefork run --pool`: pools in place of the mix-ins that a program imports."""

from __future__ import annotations

from typing import Any

import prefork.socketserver as api
from prefork.cli.options import PoolOptions, check_least
from prefork.readings.cores import usable_cores
from prefork.settings import Settings
from prefork.socketserver import PreforkMixIn, ThreadingMixIn

KINDS = ("TCPServer", "UDPServer", "UnixStreamServer", "UnixDatagramServer")


def put_pools_in_place(options: PoolOptions) -> None:
    """Replace `ForkingMixIn`, `ThreadingMixIn` and their ready-made servers with pools.

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
    """Install `mixin`, and servers made with it, under the documented names."""
    setattr(api, f"{prefix}MixIn", mixin)
    for kind in KINDS:
        name = f"{prefix}{kind}"
        setattr(api, name, type(name, (mixin, getattr(api, kind)), {"__module__": "socketserver"}))


class _InsteadOfProcesses(PreforkMixIn):
    """Replaces `ForkingMixIn`; a separate class, because a program may combine both mix-ins."""


class _InsteadOfThreads(PreforkMixIn):
    """Replaces `ThreadingMixIn`: each worker serves one request at a time, without threads.

    The attributes and methods of the mix-in that programs use keep their meaning.
    """

    daemon_threads = False

    # For programs that call it directly.
    process_request_thread = ThreadingMixIn.process_request_thread

    def prefork_threads(self) -> None:
        return None


class _WithThreads(PreforkMixIn, ThreadingMixIn):
    """Replaces `ThreadingMixIn` with `--threads`: each worker has a bounded number of threads."""
