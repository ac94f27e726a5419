"""What the layer above is to the master: a server with settings, on which workers serve."""

from __future__ import annotations

from typing import Any, Protocol

from prefork.settings import Settings
from prefork.workers.protocol.channel import PackedRequest
from prefork.workers.server_in_worker import ServerInWorker


class ServerInMaster(ServerInWorker, Protocol):
    """The server above, as the master sees it. Everything is asked for when it is needed."""

    def fileno(self) -> int:
        """A descriptor that is readable when a request waits, at whichever listener."""

    def settings(self) -> Settings: ...
    def max_children(self) -> int:
        """Workers at most, and at least one."""

    def threads(self) -> int | None:
        """Requests a worker may have in hand at a time; `None` without threads."""

    def daemon_threads(self) -> bool:
        """Whether the end of the server may cut off requests that threads still serve."""

    def pack(self, request: Any, client_address: Any) -> PackedRequest | None:
        """A request as bytes and a descriptor; `None` for one that cannot leave this process."""

    def close_in_child(self) -> None:
        """In a forked child: drop what belongs to the master's loop."""

    def workers_changed(self, pids: set[int]) -> None:
        """These are the workers now."""

    def serves_forever(self) -> bool:
        """Whether the server takes requests until it is told to stop, or this one only."""

    def stop(self) -> None:
        """A handler has asked for the end of the server."""
