"""Signals that are blocked, and delivered afterwards."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from prefork.linux.signal_mask import signals_blocked, signals_unblocked


def blocked() -> set[Any]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def test_signals_are_delivered_after_the_block_and_not_during_it() -> None:
    seen: list[set[Any]] = []

    def interrupt_in_the_block() -> None:
        with signals_blocked() as outside:
            # To this thread: the kernel might choose one that a library has started.
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            seen.extend((outside, blocked()))

    with pytest.raises(KeyboardInterrupt):
        interrupt_in_the_block()
    outside, inside = seen
    assert outside == blocked() == set()
    assert signal.SIGINT in inside


def test_the_end_of_an_inner_block_unblocks_nothing() -> None:
    with signals_blocked() as outer:
        with signals_blocked() as inner:
            assert inner == outer == set()
        assert signal.SIGINT in blocked()
    assert blocked() == set()


def test_a_signal_just_before_the_block_does_not_leave_signals_blocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The call that blocks signals runs pending Python handlers after they have been blocked.

    A program that was interrupted then used to keep all signals blocked, and exited with 130.
    """
    change = signal.pthread_sigmask

    def interrupted(how: int, signals: Iterable[int]) -> set[Any]:
        before = change(how, signals)
        if how == signal.SIG_BLOCK and signals:
            raise KeyboardInterrupt
        return before

    monkeypatch.setattr("prefork.linux.signal_mask.change_mask", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt), signals_blocked():
            pass
        assert blocked() == set()
        monkeypatch.undo()
        with signals_blocked() as outside:
            assert outside == set()
    finally:
        change(signal.SIG_SETMASK, [])


def test_signals_can_be_unblocked_within_a_block() -> None:
    with signals_blocked():
        with signals_unblocked():
            assert blocked() == set()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.SIGINT in blocked()
    assert blocked() == set()


def test_unblocking_outside_of_any_block_changes_nothing() -> None:
    with signals_unblocked():
        assert blocked() == set()
    assert blocked() == set()
