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
SLOTS_IN_SEGMENT = 2**15
"""As many as there are process numbers by default (proc(5): pid_max)."""

# The layout of a slot: state, since, served, busy nanoseconds, requests in flight; then who is
# being served, as port and host (port 0: the text says it all); then, apart, the label.
_WORK = struct.Struct("=QQQQQ")
_TAKEN = struct.Struct("=QQQQQQ48s")
_LABEL = struct.Struct("=Q96s")  # since of the labelled request; its text
_LABEL_AT = 128


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

    __slots__ = ("_at", "_began", "_busy", "_memory", "served")

    def __init__(self, memory: mmap.mmap, at: int) -> None:
        self._memory = memory
        self._at = at
        self._began = 0
        self._busy = 0
        self.served = 0

    def clear(self) -> None:
        """Make the place ready for its next occupant; done by the master, before the fork."""
        self._memory[self._at : self._at + SLOT_BYTES] = bytes(SLOT_BYTES)
        self.enter(State.STARTING)

    def enter(self, state: State) -> None:
        now = time.monotonic_ns()
        _WORK.pack_into(self._memory, self._at, state, now, self.served, self._busy, 0)

    def take(self, client_address: Any, in_flight: int = 1) -> int:
        """A request was taken, so that `in_flight` are in hand.

        Returns since when the worker is busy, in nanoseconds of the monotonic clock.
        """
        if in_flight == 1:
            self._began = _clock()
        began = self._began
        work = (self._memory, self._at, _BUSY, began, self.served, self._busy, in_flight)
        try:
            _pack_taken(*work, client_address[1], client_address[0].encode())
        except _NO_IP_ADDRESS:
            _pack_taken(*work, 0, peer_text(client_address))
        return began

    def done(self) -> int:
        """The only request in hand is served; when, in nanoseconds of the monotonic clock."""
        now = _clock()
        self.served += 1
        self._busy += now - self._began
        _pack_work(self._memory, self._at, _IDLE, now, self.served, self._busy, 0)
        return now

    def done_of_many(self, in_flight: int) -> None:
        """One of several requests is served, by a thread; `in_flight` are left."""
        if in_flight == 0:
            self.done()
            return
        self.served += 1
        work = (_BUSY, self._began, self.served, self._busy, in_flight)
        _pack_work(self._memory, self._at, *work)

    def label(self, text: str) -> None:
        """Say in words what the present request is; forgotten when the next one is taken."""
        data = text.encode("utf-8", "replace")
        _LABEL.pack_into(self._memory, self._at + _LABEL_AT, self._began, data)

    def read(self) -> Reading:
        work = _TAKEN.unpack_from(self._memory, self._at)
        state, since, served, busy, in_flight, port, host = work
        labelled, label = _LABEL.unpack_from(self._memory, self._at + _LABEL_AT)
        taken = state == State.BUSY
        peer = text_of(host) + (f":{port}" if port else "") if taken else ""
        return Reading(
            State(state),
            since / 1e9,
            peer,
            text_of(label) if taken and labelled == since else "",
            served,
            busy / 1e9,
            in_flight,
        )


# Bound once: these run for every request.
_clock = time.monotonic_ns
_pack_taken = _TAKEN.pack_into
_pack_work = _WORK.pack_into
_IDLE, _BUSY = int(State.IDLE), int(State.BUSY)
_NO_IP_ADDRESS = (TypeError, IndexError, KeyError, AttributeError, UnicodeError, struct.error)


class Scoreboard:
    """The slots of a pool, as many as are asked for: memory is mapped a segment at a time.

    A process sees the segments that existed when it was forked. The first one always does, so that
    one which forks workers on order sees the place of each. Pages that nobody has written cost
    nothing.
    """

    def __init__(self) -> None:
        self._segments: list[mmap.mmap] = []
        self.slot(0)

    def slot(self, number: int) -> Slot:
        segment, index = divmod(number, SLOTS_IN_SEGMENT)
        while len(self._segments) <= segment:
            self._segments.append(mmap.mmap(-1, SLOTS_IN_SEGMENT * SLOT_BYTES))
        return Slot(self._segments[segment], index * SLOT_BYTES)


def peer_text(client_address: Any) -> bytes:
    """What is not `(host, port, ...)`, in words: a path, say; 48 bytes of it are kept."""
    if isinstance(client_address, bytes):
        return client_address
    return str(client_address or "").encode("utf-8", "replace")


def text_of(data: bytes) -> str:
    """The text in a field that is padded with zeros; an abstract name's own becomes `@`."""
    return data.rstrip(b"\0").replace(b"\0", b"@").decode("utf-8", "replace")
