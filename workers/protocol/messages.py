"""The messages between the master and its workers, and between the master and its fork servers."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import NamedTuple

MAX_BODY = 70_000
"""Maximum size of a message's body in bytes: enough for the longest UDP datagram and its
address."""


class Kind(IntEnum):
    """What a message says; the first byte of the packet."""

    RETIRE = 1
    """To a worker: exit after the present request."""
    DRAIN = 2
    """To a worker: serve what waits in the backlog, at most the given number, then exit."""
    READY = 3
    """From a worker: it is ready to take requests."""
    FAILED = 4
    """From a worker: it cannot start; the body is the traceback."""
    STOP = 5
    """From a worker: a handler wants to stop the whole server."""
    TAKE = 6
    """To a worker: serve this request; the body and the descriptor are the request."""
    LEAVING = 7
    """From a worker: it has reached a limit and waits for the order to retire."""
    ADD_LISTENER = 8
    """To a worker: also take requests from this listener; the body is the number of the server's
    listener that it is a sibling of."""
    TAKEN = 9
    """From a worker that serves a single request: it has taken that request."""
    PASS_LISTENER = 10
    """To a fork server: a listener of the master that the next worker keeps; the body is like that
    of ADD_LISTENER."""
    FORK_WORKER = 11
    """To a fork server: fork a worker with this configuration; the descriptor is the worker's end
    of its channel."""
    FORKED = 12
    """From a process that the master ordered to be forked: it runs; the body is its pid."""
    FORK_MOLD = 13
    """To a worker: fork a mold; the descriptor is the mold's end of its channel. On that channel,
    the worker sends the same to ask whether to go ahead, and the master sends it back to agree."""


PackedRequest = tuple[bytes, int | None]
"""A request on its way to another process: bytes, and a descriptor if there is one."""


class Message(NamedTuple):
    kind: Kind
    body: bytes = b""
    fd: int | None = None
    """A descriptor that is sent along; the receiver's copy has another number."""

    @classmethod
    def drain(cls, most: int) -> Message:
        return cls(Kind.DRAIN, b"%d" % most)

    @classmethod
    def forked(cls) -> Message:
        return cls(Kind.FORKED, b"%d" % os.getpid())

    @classmethod
    def failed(cls, traceback: str) -> Message:
        """Return a FAILED message; a very long traceback loses its beginning, not the error."""
        return cls(Kind.FAILED, encoded(traceback)[-MAX_BODY:])


def encoded(text: str) -> bytes:
    """Encode a traceback, which may contain lone surrogates."""
    return text.encode("utf-8", "backslashreplace")
