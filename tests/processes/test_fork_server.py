"""The process that workers are forked from: the master or its fork server."""

import errno
import logging
import os
import signal
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from prefork.linux.fork import double_fork
from prefork.linux.syscalls import SYSTEM
from prefork.master import fork_server as fork_server
from prefork.master.origins import from_master as base
from prefork.policies import restarts
from prefork.workers.main import WorkerConfig
from prefork.workers.protocol.channel import Channel
from tests.support.children import children, command_of, state_of
from tests.support.clients import ask
from tests.support.deadlines import ENDING, stretched, within
from tests.support.polling import eventually
from tests.support.pools import (
    PERSISTENT,
    answer_pid,
    events,
    idle_workers,
    messages,
    pool_of,
)
from tests.support.programs import (
    AT_ONCE,
    HOLDING,
    fork_servers_here,
    orphans_end,
    program,
    the_fork_server,
    workers_here,
)
from tests.support.subreaper import adopts_orphans, set_adopting_orphans


@pytest.fixture
def adopts_no_orphans() -> Any:
    """Clear the attribute of the test process, which the leak check needs, during the test."""
    set_adopting_orphans(0)
    yield
    set_adopting_orphans(1)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_workers_of_a_master_with_threads_are_forked_elsewhere_and_are_its_children(
    strategy: str, running: Any, adopts_no_orphans: None
) -> None:
    """Otherwise the master could not wait for them or tell how they ended."""
    with running(pool_of(answer_pid, strategy=strategy, workers=3)) as server:
        workers = idle_workers(server, 3)
        assert workers_here() == workers
        assert the_fork_server() not in server.active_children
        assert {parent_of(pid) for pid in workers} == {os.getpid()}
        assert not adopts_orphans()
    assert not fork_servers_here()


def wait_for_replacement(server: Any, victim: int) -> None:
    eventually(lambda: victim not in server.active_children, what="end of the worker")
    idle_workers(server, 2)


@pytest.mark.parametrize("flag", [0, 1])
def test_the_subreaper_attribute_of_the_master_is_left_as_it_was(running: Any, flag: int) -> None:
    """A program may have set it itself; one that has not does not reap orphans."""
    set_adopting_orphans(flag)
    try:
        with running(pool_of(answer_pid)) as server:
            idle_workers(server, 2)
            the_fork_server()
            assert adopts_orphans() is bool(flag)
    finally:
        set_adopting_orphans(1)


def test_no_replacement_is_forked_with_threads_alive(
    running: Any, errors: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock held by one of them would stay locked; Python 3.12 and later warn of such forks."""
    with warnings.catch_warnings(record=True) as warned, running(pool_of(answer_pid)) as server:
        warnings.simplefilter("always")
        for _ in range(3):
            workers = idle_workers(server, 2)
            os.kill(min(workers), signal.SIGKILL)
            wait_for_replacement(server, min(workers))
    assert sum("fork" in str(w.message) for w in warned) <= 1  # the fork of the fork server
    assert not events(caplog.records, "threads_at_fork")
    assert len(errors()) == 3


def test_a_master_with_one_thread_forks_its_workers_itself(elsewhere: Path) -> None:
    code = HOLDING + "server.serve_forever()\n"
    with program(code.format(strategy="accept"), elsewhere) as it:
        it.address()
        workers = it.workers(2)
        eventually(lambda: all("worker" in command_of(pid) for pid in workers), what="titles")


def test_fork_from_master_forks_from_the_master_and_names_its_threads(
    running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers then share its present memory; the log names the threads that are a risk."""
    with running(pool_of(answer_pid, settings={"fork_from": "master"})) as server:
        idle_workers(server, 2)
        assert not fork_servers_here()
    named = {record.thread_name for record in events(caplog.records, "threads_at_fork")}
    assert "MainThread" in named


def test_a_process_for_one_request_has_the_present_memory_of_the_master(running: Any) -> None:
    """With the strategy `fork` this holds for every value of `fork_from`."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(server.word)

    with running(pool_of(handler, strategy="fork", word=b"at the start")) as server:
        server.word = b"now"
        assert ask(server.server_address) == b"now"
        assert not fork_servers_here()


def test_workers_forked_ahead_come_from_the_fork_server(running: Any) -> None:
    pool = pool_of(answer_pid, strategy="fork", workers=4, settings={"fork_ahead": 2})
    with running(pool) as server:
        idle_workers(server, 2)
        the_fork_server()
        assert len({ask(server.server_address) for _ in range(6)}) == 6
        idle_workers(server, 2)


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_a_killed_fork_server_does_not_stop_the_pool(
    strategy: str, running: Any, errors: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """From then on the master forks the workers, and logs that once."""
    with running(pool_of(answer_pid, strategy=strategy)) as server:
        workers = idle_workers(server, 2)
        killed = the_fork_server()
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: not fork_servers_here(), what="end of the fork server")
        assert idle_workers(server, 2) == workers
        os.kill(min(workers), signal.SIGKILL)
        wait_for_replacement(server, min(workers))
        assert int(ask(server.server_address)) in server.active_children
    [exited] = events(caplog.records, "fork_server_exit")
    assert (exited.pid, exited.reason) == (killed, "was killed by SIGKILL")
    assert "from now on, the master forks workers itself" in exited.getMessage()
    assert len(errors()) == 1


def test_the_death_is_reported_although_the_channel_closes_before_it() -> None:
    """The kernel closes the descriptors of a killed process before its pidfd becomes readable."""
    ours, theirs = Channel.pair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        theirs.close()
        signal.sigtimedwait([], 0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    theirs.close()
    dying = fork_server.ForkServer(ours, SYSTEM)
    dying.adopt(pid)
    assert ours.wait(stretched(ENDING))
    config = WorkerConfig(
        number=0,
        persistent=True,
        threads=None,
        daemon_threads=False,
        max_requests=0,
        gc_freeze=False,
        name="",
        process_titles=False,
    )
    for_worker, for_child = Channel.pair()
    adopted: list[int] = []
    with pytest.raises(fork_server.ForkServerError, match="was killed by SIGKILL"):
        dying.fork_worker(config, for_worker, for_child, adopted.append, ())
    assert not adopted
    for_worker.close()
    for_child.close()
    dying.end()


def test_a_stuck_fork_server_does_not_block_the_master(
    running: Any, errors: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(pool_of(answer_pid)) as server:
        workers = idle_workers(server, 2)
        stuck = the_fork_server()
        monkeypatch.setattr(fork_server, "FORK_TIMEOUT", 0.05)
        os.kill(stuck, signal.SIGSTOP)
        os.kill(min(workers), signal.SIGKILL)
        wait_for_replacement(server, min(workers))
        assert state_of(stuck) == ""
    assert "did not fork a worker within 0.05 s" in caplog.text
    errors()


def test_a_fork_server_that_cannot_fork_is_used_again_later(
    running: Any, errors: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The master retries, as it does when its own fork fails."""
    full = tmp_path / "full"

    def fork_if_there_is_room(prepare: Any) -> bool:
        if full.exists():
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return double_fork(prepare)

    monkeypatch.setattr(base, "double_fork", fork_if_there_is_room)
    monkeypatch.setattr(restarts, "FACTOR", 0.1)
    with running(pool_of(answer_pid)) as server:
        workers = idle_workers(server, 2)
        pid = the_fork_server()
        full.touch()
        os.kill(min(workers), signal.SIGKILL)
        logged = lambda: any("No worker could be started" in text for text in errors())  # noqa: E731
        eventually(logged, what="the reason in the log")
        full.unlink()
        assert max(workers) in idle_workers(server, 2)
        assert the_fork_server() == pid
    errors()


def test_a_second_run_has_a_fork_server_of_its_own(running: Any) -> None:
    """Its workers see what the program has changed between the runs."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(server.word)

    server = pool_of(handler, word=b"first")
    for word in (b"first", b"second"):
        server.word = word
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        assert ask(server.server_address) == word
        server.shutdown()
        thread.join()
        within(lambda: server.collect_children(blocking=True))
        assert not workers_here() | fork_servers_here()
    server.server_close()


def test_the_fork_server_ends_with_its_killed_master(elsewhere: Path) -> None:
    code = (
        HOLDING
        + """
import threading
threading.Thread(target=server.serve_forever).start()
threading.Event().wait()
"""
    )
    with program(code.format(strategy="accept"), elsewhere) as it:
        it.address()
        processes = it.workers(2) | it.fork_servers()
        assert len(processes) == 3
        os.kill(it.pid, signal.SIGKILL)
        it.ends()
        assert orphans_end(processes, AT_ONCE)


def test_the_fork_server_leaves_on_sigterm(running: Any, caplog: pytest.LogCaptureFixture) -> None:
    """SIGTERM may come to a whole process group; SIGINT is ignored."""
    caplog.set_level(logging.INFO, "prefork")
    with running(pool_of(answer_pid)) as server:
        idle_workers(server, 2)
        pid = the_fork_server()
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: "exited with code 12" in caplog.text, what="the reason in the log")
        assert messages(caplog.records, logging.WARNING) == []
        [started] = events(caplog.records, "fork_server_started")
        assert started.pid == pid
        assert "MainThread" in started.threads
        assert not fork_servers_here()
        assert len(server.active_children) == 2


@pytest.mark.parametrize("moment", ["wait", "peek"])
def test_an_interrupted_fork_leaves_no_process(
    moment: str, monkeypatch: pytest.MonkeyPatch, adopts_no_orphans: None
) -> None:
    """A master with several threads cannot block Ctrl-C, and the program may continue after it."""
    master, real, interruptions = os.getpid(), getattr(Channel, moment), [KeyboardInterrupt()]

    def interrupted(channel: Channel, *timeout: float) -> Any:
        answer = real(channel, *timeout)
        if os.getpid() == master and interruptions:
            raise interruptions.pop()
        return answer

    monkeypatch.setattr(Channel, moment, interrupted)
    with pool_of(answer_pid) as server:
        with pytest.raises(KeyboardInterrupt):
            within(lambda: server.serve_forever(0.01))
        assert not adopts_orphans()
    assert children() == set()
