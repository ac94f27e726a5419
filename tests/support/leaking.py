"""Tests that leave things behind, one kind each: what `test_leaks` has the fixture find.

Not collected otherwise, for the name of the file.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support import leaks
from tests.support.children import exit_code, fork_and_run, peek_exit_code, started, ticks
from tests.support.polling import eventually
from tests.support.pools import answer_pid, pool_of
from tests.support.serving import start_serving


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


def pool() -> None:
    """It forks a worker for each that the search for leaks kills, until it is ended itself."""
    start_serving(pool_of(answer_pid))


class Helper:
    """A process that was there before, and has a child that comes to us when it ends."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        self.pid = fork_and_run(lambda: self._obey(theirs))
        theirs.close()

    def _obey(self, orders: socket.socket) -> None:
        orders.recv(1)
        orders.sendall(b"%d" % fork_and_run(signal.pause))
        orders.recv(1)

    def fork(self) -> int:
        self._orders.sendall(b"f")
        return int(self._orders.recv(10))

    def end(self) -> None:
        self._orders.sendall(b"e")
        self._orders.close()
        assert exit_code(self.pid) == 0


@pytest.fixture(scope="module", autouse=True)
def short_grace() -> Iterator[None]:
    """Nothing that these tests leave behind goes away by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "GRACE", 0.02)
        yield


@pytest.fixture(scope="module", autouse=True)
def helper() -> Helper:
    global _helper
    _helper = Helper()
    return _helper


_helper: Helper


def latecomer() -> None:
    """End in a later clock tick: the next test must not have begun when the child was forked."""
    forked = started(_helper.fork())
    eventually(lambda: ticks() > forked, what="clock tick after the fork")


def nothing() -> None:
    pass


def end_of_helper() -> None:
    """Nothing of this test: but the child of the helper comes in it."""
    _helper.end()


KINDS = [latecomer, child, zombie, orphan, descriptor, thread, handler, mask, wakeup_descriptor]
KINDS.append(pool)
TESTS = [*(kind for leak in KINDS for kind in (leak, nothing)), end_of_helper, nothing]


@pytest.mark.parametrize("leave", TESTS)
def test_leaves(leave: Callable[[], None]) -> None:
    leave()
