"""What the layer above provides to the master: a server with settings, on which workers serve."""

from __future__ import annotations

from typing import Any, Protocol

from prefork.settings import Settings
from prefork.workers.protocol.channel import PackedRequest
from prefork.workers.server_in_worker import ServerInWorker


class ServerInMaster(ServerInWorker, Protocol):
    """One server object, as the master sees it. Its values are read when they are needed."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when a request waits at any of its listeners."""

    def settings(self) -> Settings: ...
    def max_children(self) -> int:
        """Return how many workers there may be, at least one."""

    def threads(self) -> int | None:
        """Return how many requests a worker may serve at once, 0 for no limit; `None` without
        threads."""

    def daemon_threads(self) -> bool:
        """Whether the end of the server may abort requests that threads still serve."""

    def pack(self, request: Any, client_address: Any) -> PackedRequest | None:
        """Return a request as bytes and a descriptor; `None` if it cannot leave this process."""

    def close_in_child(self) -> None:
        """In a forked child: close what belongs to the master's loop."""

    def workers_changed(self, pids: set[int]) -> None:
        """Note the pids of the present workers."""

    def serves_forever(self) -> bool:
        """Whether the server takes requests until it is stopped, not a single one."""

    def stop(self) -> None:
        """Stop the server, as a handler in a worker has asked."""
