"""What a test must leave as it found it: children, descriptors, threads, signals."""

import gc
import os
import signal
import threading
from dataclasses import dataclass
from typing import Any

from tests.support.children import (
    all_children,
    begin_epoch,
    command_of,
    kill_and_reap,
    started,
    state_of,
)
from tests.support.deadlines import DeadlinePassed
from tests.support.polling import eventually

GRACE = 1.5
"""Seconds for what is about to end by itself: a thread after its last line, a child in its exit."""


def descriptors() -> frozenset[tuple[int, str]]:
    """Open descriptors with what they refer to: a number alone may have been given out again."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:  # the descriptor with which the directory was read
            continue
    return frozenset(found)


def _handlers() -> dict[int, Any]:
    return {
        number: signal.getsignal(number)
        for number in signal.valid_signals()
        if number != signal.SIGALRM  # the test runner's watchdog comes and goes
    }


def _wakeup_descriptor() -> int:
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    return descriptor


@dataclass(frozen=True)
class Surroundings:
    """The part of the process's state that a test may not change."""

    since: int
    children: frozenset[int]
    descriptors: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]
    handlers: dict[int, Any]
    mask: frozenset[int]
    wakeup: int

    @classmethod
    def now(cls) -> "Surroundings":
        """As it is when a test begins."""
        return cls._look(begin_epoch())

    @classmethod
    def _look(cls, since: int) -> "Surroundings":
        return cls(
            since=since,
            children=frozenset(all_children()),
            descriptors=descriptors(),
            threads=frozenset(threading.enumerate()),
            handlers=_handlers(),
            mask=frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
            wakeup=_wakeup_descriptor(),
        )

    def changes(self) -> list[str]:
        """What is different now, one sentence each; things that merely went away are fine."""
        now = Surroundings._look(self.since)
        sentences = [
            f"child {pid} is left behind ({describe(pid)})"
            for pid in sorted(now.children - self.children - self.latecomers().keys())
        ]
        sentences += [
            f"descriptor {number} is still open ({target})"
            for number, target in sorted(now.descriptors - self.descriptors)
        ]
        sentences += [f"thread {thread.name!r} still runs" for thread in now.threads - self.threads]
        sentences += [
            f"the handler of {signal.Signals(number).name} is now {handler!r}"
            for number, handler in now.handlers.items()
            if handler != self.handlers[number]
        ]
        if now.mask != self.mask:
            sentences.append(f"the signal mask is now {sorted(now.mask)}")
        if now.wakeup != self.wakeup:
            sentences.append(f"the signal wake-up descriptor is now {now.wakeup}")
        return sentences

    def latecomers(self) -> dict[int, int]:
        """Orphans that were forked before and have come since: their pids, and when they were."""
        new = all_children() - self.children
        return {pid: begun for pid in new if 0 < (begun := started(pid)) < self.since}

    def changes_that_stay(self) -> list[str]:
        """The changes that neither a garbage collection nor a moment of patience undoes."""
        if not self.changes():
            return []
        gc.collect()  # garbage may hold descriptors; too slow to do after every single test
        try:
            eventually(lambda: not self.changes(), GRACE)
        except DeadlinePassed:
            return self.changes()
        return []

    def restore(self) -> None:
        """Undo what can be undone, so that one leak does not become ten failures.

        Descriptors stay open: the object that owns one might later close its number once more, when
        it belongs to somebody else; and the next test takes its own inventory anyway.
        """
        while left := all_children() - self.children:  # orphans of the first ones come to us
            for pid in left:
                kill_and_reap(pid)
        for number, handler in _handlers().items():
            before = self.handlers[number]
            if handler != before and before is not None:  # None: not installed by Python
                signal.signal(number, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
        signal.set_wakeup_fd(self.wakeup)


def describe(pid: int) -> str:
    if state_of(pid) == "Z":
        return "a zombie"
    command = command_of(pid)
    return f"running {command}" if command else "just gone"
