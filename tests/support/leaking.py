"""Tests that leave things behind, one kind each: what `test_leaks` has the fixture find.

Not collected otherwise, for the name of the file.
"""

import os
import signal
import threading
from collections.abc import Callable

import pytest

from tests.support.children import exit_code, fork_and_run, peek_exit_code


def child() -> None:
    fork_and_run(signal.pause)


def zombie() -> None:
    peek_exit_code(fork_and_run(lambda: None))


def orphan() -> None:
    assert exit_code(fork_and_run(child)) == 0


def descriptor() -> None:
    os.open(os.devnull, os.O_RDONLY)


def thread() -> None:
    threading.Thread(target=threading.Event().wait, name="straggler", daemon=True).start()


def handler() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def mask() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])


def wakeup_descriptor() -> None:
    signal.set_wakeup_fd(os.eventfd(0, os.EFD_NONBLOCK))


def nothing() -> None:
    pass


KINDS = (child, zombie, orphan, descriptor, thread, handler, mask, wakeup_descriptor)


@pytest.mark.parametrize("leave", [kind for leak in KINDS for kind in (leak, nothing)])
def test_leaves(leave: Callable[[], None]) -> None:
    leave()
