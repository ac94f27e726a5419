"""The interface of a server that the master needs; the layer above implements it."""

from __future__ import annotations

from typing import Any, Protocol

from prefork.settings import Settings
from prefork.workers.protocol.messages import PackedRequest
from prefork.workers.server_in_worker import ServerInWorker


class ServerInMaster(ServerInWorker, Protocol):
    """The master's view of one server object. Its values are read whenever they are needed."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when a request waits at any of its listeners."""

    def settings(self) -> Settings: ...
    def max_children(self) -> int:
        """Return the maximum number of workers, at least one."""

    def threads(self) -> int | None:
        """Return the maximum number of requests in flight in a worker, 0 for no limit; `None` if
        workers do not use threads."""

    def daemon_threads(self) -> bool:
        """Whether requests that threads still serve may be aborted when the server stops."""

    def pack(self, request: Any, client_address: Any) -> PackedRequest | None:
        """Return a request as bytes and a descriptor; `None` if it cannot be passed on."""

    def close_in_child(self) -> None:
        """Close the descriptors of the master's loop in a forked child."""

    def workers_changed(self, pids: set[int]) -> None:
        """Note the pids of the present workers."""

    def serves_forever(self) -> bool:
        """Whether the server takes requests until it is stopped; if false, it takes only one."""

    def stop(self) -> None:
        """Stop the server, because a handler in a worker has asked for it."""
