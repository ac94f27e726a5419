"""The one private record that a server carries.

A server needs no `__init__` of this package to have run, and its class may come from the standard
library's module. So the record is created in the instance when it is first needed. Two more private
names, `_BaseServer__shutdown_request` and `_BaseServer__is_shut_down`, stay attributes of the
server: programs read and set them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from prefork.linux.reaper import Reaper
    from prefork.master.master import Master
    from prefork.socketserver.loop import Run


class ServerState:
    """What this package records about one server; each part is `None` while it does not apply.

    `owner` is the `id()` of the server: a shallow copy of a server gets its own record. `run`
    is the loop that is running. `reaper` watches the children of a `ForkingMixIn`. `master`
    keeps the pool of a `PreforkMixIn`. `worker` is set in a worker process of such a pool.
    `aborted` is the number of requests that were aborted when the workers of the last run were
    killed, `None` if they were not. `one_request_threads` are the threads that are in
    `handle_request()` of a pool, by their identifiers. `replaced_methods` are the entries of the
    instance's `__dict__` that the counting of requests has replaced, with what they were before
    (`None`: absent).
    """

    __slots__ = (
        "aborted",
        "master",
        "one_request_threads",
        "owner",
        "reaper",
        "replaced_methods",
        "run",
        "worker",
    )

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.run: Run | None = None
        self.reaper: Reaper | None = None
        self.master: Master | None = None
        self.worker: WorkerState | None = None
        self.aborted: int | None = None
        self.one_request_threads: set[int] = set()
        self.replaced_methods: dict[str, Any] | None = None


class WorkerState:
    """What a pool's server does differently in a worker process.

    `serve(server, request, client_address)` is the `process_request()` of the class below the
    pool. `ask_stop()` asks the master to stop the whole server.
    """

    __slots__ = ("ask_stop", "serve")

    def __init__(
        self, serve: Callable[[Any, Any, Any], object], ask_stop: Callable[[], object]
    ) -> None:
        self.serve = serve
        self.ask_stop = ask_stop


def state_of(server: Any) -> ServerState:
    """Return the record of a server; it is created when it is first needed."""
    attributes, owner = vars(server), id(server)
    state: ServerState | None = attributes.get("_prefork_state")
    if state is not None and state.owner != owner:  # copied from another server
        state = attributes["_prefork_state"] = ServerState(owner)
    if state is None:
        # Two threads may call this at the same time: both must get the same record.
        state = attributes.setdefault("_prefork_state", ServerState(owner))
    return state
