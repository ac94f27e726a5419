"""Shared memory in which each worker says what it is doing, and which outlives it.

Every slot is a few 64-bit words and two short texts. The worker that occupies the slot is the only
writer; the master only reads, so there is no lock. A reader may see one word before and the next
after a change: good enough to show, never used for anything that must be exact.

An update is one `struct.pack_into`: well under a microsecond, paid twice for each request.
"""

from __future__ import annotations

import mmap
import struct
import time
from enum import IntEnum
from typing import Any, NamedTuple

SLOT_BYTES = 256
SLOTS_IN_SEGMENT = 256

_TAKEN = struct.Struct("=QQ48s")  # state, since; the peer as text
_DONE = struct.Struct("=QQ")  # state, since
_COUNTS = struct.Struct("=QQQ")  # served, busy nanoseconds, requests in flight
_LABEL = struct.Struct("=Q96s")  # since of the labelled request; its text
_AT_COUNTS = 64
_AT_LABEL = 96


class State(IntEnum):
    """What a worker is doing; what it wrote last stays when it dies."""

    EMPTY = 0
    STARTING = 1
    IDLE = 2
    BUSY = 3
    LEAVING = 4


class Reading(NamedTuple):
    """One slot at one moment. `since` and `busy` are seconds, `since` on the monotonic clock."""

    state: State
    since: float
    peer: str
    label: str
    served: int
    busy: float
    in_flight: int


class Slot:
    """One place on the scoreboard."""

    __slots__ = ("_at", "_began", "_busy", "_memory", "_served")

    def __init__(self, memory: mmap.mmap, at: int) -> None:
        self._memory = memory
        self._at = at
        self._began = 0
        self._served = 0
        self._busy = 0

    def clear(self) -> None:
        """Make the place ready for its next occupant; done by the master, before the fork."""
        self._memory[self._at : self._at + SLOT_BYTES] = bytes(SLOT_BYTES)
        self.enter(State.STARTING)

    def enter(self, state: State) -> None:
        _DONE.pack_into(self._memory, self._at, state, time.monotonic_ns())

    def take(self, client_address: Any, in_flight: int = 1) -> int:
        """A request was taken; when, in nanoseconds of the monotonic clock."""
        began = self._began = time.monotonic_ns()
        _TAKEN.pack_into(self._memory, self._at, State.BUSY, began, peer_text(client_address))
        if in_flight > 1:
            self._count(in_flight)
        return began

    def done(self) -> int:
        """The only request in hand is served; when, in nanoseconds of the monotonic clock."""
        now = time.monotonic_ns()
        self._served += 1
        self._busy += now - self._began
        _DONE.pack_into(self._memory, self._at, State.IDLE, now)
        _COUNTS.pack_into(self._memory, self._at + _AT_COUNTS, self._served, self._busy, 0)
        return now

    def done_of_many(self, in_flight: int) -> None:
        """One of several requests is served, by a thread; `in_flight` are left."""
        if in_flight == 0:
            self.done()
        else:
            self._served += 1
            self._count(in_flight)

    def label(self, text: str) -> None:
        """Say in words what the present request is; forgotten when the next one is taken."""
        data = text.encode("utf-8", "replace")
        _LABEL.pack_into(self._memory, self._at + _AT_LABEL, self._began, data)

    @property
    def served(self) -> int:
        return self._served

    def read(self) -> Reading:
        state, since, peer = _TAKEN.unpack_from(self._memory, self._at)
        served, busy, in_flight = _COUNTS.unpack_from(self._memory, self._at + _AT_COUNTS)
        labelled, label = _LABEL.unpack_from(self._memory, self._at + _AT_LABEL)
        taken = state == State.BUSY
        return Reading(
            State(state),
            since / 1e9,
            text_of(peer) if taken else "",
            text_of(label) if taken and labelled == since else "",
            served,
            busy / 1e9,
            max(in_flight, int(taken)),
        )

    def _count(self, in_flight: int) -> None:
        _COUNTS.pack_into(self._memory, self._at + _AT_COUNTS, self._served, self._busy, in_flight)


class Scoreboard:
    """The slots of a pool, as many as are asked for: memory is mapped a segment at a time.

    A worker sees the slots that existed when it was forked, so its own is always among them. Pages
    that nobody has written cost nothing.
    """

    def __init__(self) -> None:
        self._segments: list[mmap.mmap] = []

    def slot(self, number: int) -> Slot:
        segment, index = divmod(number, SLOTS_IN_SEGMENT)
        while len(self._segments) <= segment:
            self._segments.append(mmap.mmap(-1, SLOTS_IN_SEGMENT * SLOT_BYTES))
        return Slot(self._segments[segment], index * SLOT_BYTES)


def peer_text(client_address: Any) -> bytes:
    """A client's address in at most 48 bytes or so: `host:port`, a path, whatever it is."""
    if type(client_address) is tuple and len(client_address) > 1:
        return f"{client_address[0]}:{client_address[1]}".encode("utf-8", "replace")
    if isinstance(client_address, bytes):
        return client_address
    return str(client_address or "").encode("utf-8", "replace")


def text_of(data: bytes) -> str:
    return data.rstrip(b"\0").replace(b"\0", b"@").decode("utf-8", "replace")
