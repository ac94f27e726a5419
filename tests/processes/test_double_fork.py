"""`double_fork()`, and the subreaper attribute that makes the new process a child of the master."""

import errno
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from prefork.linux import prctl
from prefork.linux.fork import double_fork
from prefork.linux.subreaper import adopting_orphans
from prefork.linux.syscalls import System
from tests.support.children import child_running, children, children_of, exit_code
from tests.support.subreaper import adopts_orphans, set_adopting_orphans


@pytest.fixture(autouse=True)
def adopts_no_orphans() -> Iterator[None]:
    """Clear the attribute of the test process, which the leak check needs, during the test."""
    set_adopting_orphans(0)
    yield
    set_adopting_orphans(1)


class SecondForkFails(System):
    """A system with room for one more process only."""

    forks = 0

    def fork(self) -> int:
        self.forks += 1
        if self.forks == 2:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return super().fork()


def double_forking(body: Callable[[], object]) -> Callable[[], None]:
    """A function that forks twice; the new process runs *body* and exits with 7."""

    def run() -> None:
        if double_fork(lambda: None):
            body()
            os._exit(7)

    return run


def test_the_new_process_is_a_child_of_the_subreaper() -> None:
    """The intermediate process has ended by then."""
    with adopting_orphans(), child_running(double_forking(signal.pause)) as intermediate:
        assert intermediate.exit_code() == 0
        (new,) = children()
        os.kill(new, signal.SIGKILL)
        assert exit_code(new) == -signal.SIGKILL


def test_the_callback_runs_when_the_new_process_is_a_child_of_the_subreaper() -> None:
    """So the master may wait for it, even if the process that forked it has died."""
    master = os.getpid()

    def prepare() -> None:
        assert os.getppid() == master
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) >= {signal.SIGTERM}

    def run() -> None:
        if double_fork(prepare):
            os._exit(0 if signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, []) else 1)
        assert not children_of(os.getpid())

    with adopting_orphans(), child_running(run) as fork_server:
        assert fork_server.exit_code() == 0
        (new,) = children()
        assert exit_code(new) == 0


def test_an_error_of_the_second_fork_is_raised_by_double_fork() -> None:
    def run() -> None:
        with pytest.raises(OSError, match=os.strerror(errno.EAGAIN)):
            double_fork(lambda: None, SecondForkFails())
        assert not children_of(os.getpid())

    with child_running(run) as fork_server:
        assert fork_server.exit_code() == 0


def test_orphans_are_taken_in_until_the_last_block_ends() -> None:
    """Two pools may run in two threads of a program."""
    first, second = adopting_orphans(), adopting_orphans()
    with first:
        with second:
            assert adopts_orphans()
        assert adopts_orphans()
    assert not adopts_orphans()
    set_adopting_orphans(1)
    with adopting_orphans():
        assert adopts_orphans()
    assert adopts_orphans()


def test_a_child_forked_meanwhile_starts_without_the_attribute() -> None:
    """It does not inherit the attribute, and so must not inherit the count of open blocks."""

    def run() -> None:
        assert not adopts_orphans()
        with adopting_orphans():
            assert adopts_orphans()
        assert not adopts_orphans()

    with adopting_orphans(), child_running(run) as child:
        assert child.exit_code() == 0


def test_the_attribute_is_restored_when_an_exception_interrupts_setting_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal handler may raise at any moment."""
    change = prctl.adopt_orphans

    def interrupted(flag: bool) -> None:
        change(flag)
        if flag:
            raise KeyboardInterrupt

    monkeypatch.setattr(prctl, "adopt_orphans", interrupted)
    with pytest.raises(KeyboardInterrupt), adopting_orphans():
        pass
    assert not adopts_orphans()
