"""Shared memory in which each worker shows what it is doing, and which outlives the worker.

A slot is a few 64-bit words and two short strings. The worker in the slot is the only writer; the
master only reads, so there is no lock. A reader may see one word before a change and the next word
after it: good enough for display, and never used where a value must be exact.

An update is one `struct.pack_into`, well under a microsecond, twice for each request.
"""

from __future__ import annotations

import mmap
import struct
import time
from enum import IntEnum
from typing import Any, NamedTuple

SLOT_BYTES = 256
SLOTS_IN_SEGMENT = 2**15
"""As many as there are pids by default (proc(5): pid_max)."""

# The layout of a slot: state, since, served, busy nanoseconds, requests in flight; then the
# client's address, as port and host (port 0: the host is the whole address); then, separately, the
# label.
_WORK = struct.Struct("=QQQQQ")
_TAKEN = struct.Struct("=QQQQQQ48s")
_LABEL = struct.Struct("=Q96s")  # `since` of the labelled request; the label
_LABEL_AT = 128


class State(IntEnum):
    """What a worker is doing; the last value stays when the worker dies."""

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
        """Reset the slot for its next worker; called by the master before the fork."""
        self._memory[self._at : self._at + SLOT_BYTES] = bytes(SLOT_BYTES)
        self.enter(State.STARTING)

    def enter(self, state: State) -> None:
        now = time.monotonic_ns()
        _WORK.pack_into(self._memory, self._at, state, now, self.served, self._busy, 0)

    def take(self, client_address: Any, in_flight: int = 1) -> int:
        """Note that a request was taken; `in_flight` includes it.

        Returns the time since which the worker is busy, in nanoseconds of the monotonic clock.
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
        """Note that the only request in flight is served; return the time, as `take()` does."""
        now = _clock()
        self.served += 1
        self._busy += now - self._began
        _pack_work(self._memory, self._at, _IDLE, now, self.served, self._busy, 0)
        return now

    def done_of_many(self, in_flight: int, oldest_address: Any, started: int, label: str) -> None:
        """Note that a thread has served one of several requests; `in_flight` are left, at least 1.

        The slot shows the oldest of these: its client, its label, and since when it is served,
        `started` (nanoseconds of the monotonic clock). The time before that counts as busy.
        """
        self.served += 1
        started = max(started, self._began)
        self._busy += started - self._began
        self._began = started
        work = (self._memory, self._at, _BUSY, self._began, self.served, self._busy, in_flight)
        try:
            _pack_taken(*work, oldest_address[1], oldest_address[0].encode())
        except _NO_IP_ADDRESS:
            _pack_taken(*work, 0, peer_text(oldest_address))
        self.label(label)

    def label(self, text: str) -> None:
        """Describe the present request; the label is dropped when the next request is taken."""
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


# Looked up once: these run for each request.
_clock = time.monotonic_ns
_pack_taken = _TAKEN.pack_into
_pack_work = _WORK.pack_into
_IDLE, _BUSY = int(State.IDLE), int(State.BUSY)
_NO_IP_ADDRESS = (TypeError, IndexError, KeyError, AttributeError, UnicodeError, struct.error)


class Scoreboard:
    """The slots of a pool; memory is mapped one segment at a time, as slots are used.

    A process sees the segments that existed when it was forked. The first segment always exists, so
    that a fork server sees the slot of each worker. Pages that were never written use no memory.
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
    """Encode an address that is not `(host, port, ...)`; its first 48 bytes are shown."""
    if isinstance(client_address, bytes):
        return client_address
    return str(client_address or "").encode("utf-8", "replace")


def text_of(data: bytes) -> str:
    """Decode a field padded with zero bytes; the zero byte of an abstract name becomes `@`."""
    return data.rstrip(b"\0").replace(b"\0", b"@").decode("utf-8", "replace")
