"""Signals that are held back, and come through afterwards."""

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


def test_no_signal_comes_through_in_the_block_and_all_do_after_it() -> None:
    seen: list[set[Any]] = []

    def interrupt_in_the_block() -> None:
        with signals_blocked() as outside:
            # To this thread: one that a library has started might be given it otherwise.
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            seen.extend((outside, blocked()))

    with pytest.raises(KeyboardInterrupt):
        interrupt_in_the_block()
    outside, inside = seen
    assert outside == blocked() == set()
    assert signal.SIGINT in inside


def test_a_block_within_a_block_ends_nothing() -> None:
    with signals_blocked() as outer:
        with signals_blocked() as inner:
            assert inner == outer == set()
        assert signal.SIGINT in blocked()
    assert blocked() == set()


def test_a_signal_that_comes_just_before_the_block_does_not_leave_it_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The call that blocks runs the handlers that are due, when all is blocked already.

    A program that was interrupted then was deaf for good, and exited with 130.
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


def test_within_a_block_signals_can_be_let_in_for_a_while() -> None:
    with signals_blocked():
        with signals_unblocked():
            assert blocked() == set()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.SIGINT in blocked()
    assert blocked() == set()


def test_outside_of_any_block_nothing_has_to_be_let_in() -> None:
    with signals_unblocked():
        assert blocked() == set()
    assert blocked() == set()
