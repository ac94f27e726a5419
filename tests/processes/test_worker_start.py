"""How workers start: failures, hooks, and what a forked request sees."""

import os
import signal
import threading
from typing import Any

import pytest

from prefork import StartError
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Kind, Message
from tests.support.announcements import Told
from tests.support.children import children, has_ended
from tests.support.clients import ask
from tests.support.deadlines import within
from tests.support.polling import eventually
from tests.support.pools import (
    answer_pid,
    idle_workers,
    pool_of,
    refuses,
)
from tests.support.serving import start_serving


def test_a_pool_that_cannot_start_says_why_and_leaves_nothing(errors: Any) -> None:
    """A wrong password in worker_started() must not cause a silent loop of restarts."""

    def worker_started(self: Any) -> None:
        raise ValueError("the database is not there")

    server = pool_of(answer_pid, worker_started=worker_started)
    address = server.server_address
    with server, pytest.raises(StartError) as raised:
        within(lambda: server.serve_forever(0.01))
    text = str(raised.value)
    assert "Traceback" in text
    assert "the database is not there" in text
    assert "worker_started" in text
    assert children() == set()
    assert not server.active_children
    assert refuses(address)
    assert len(errors()) == 2


@pytest.mark.parametrize("end", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_a_start_that_raises_a_base_exception_fails_as_well(
    end: BaseException, errors: Any
) -> None:
    """Configuration code often calls `sys.exit()`."""

    def worker_started(self: Any) -> None:
        raise end

    with (
        pool_of(answer_pid, worker_started=worker_started) as server,
        pytest.raises(StartError) as raised,
    ):
        within(lambda: server.serve_forever(0.01))
    assert type(end).__name__ in str(raised.value)
    errors()


def test_a_start_that_ends_the_process_fails_as_well(errors: Any) -> None:
    """C libraries may call exit() or crash."""
    server = pool_of(answer_pid, worker_started=lambda self: os._exit(0))
    with server, pytest.raises(StartError):
        within(lambda: server.serve_forever(0.01))
    errors()


def test_a_start_that_hangs_is_killed_and_fails(caplog: Any, errors: Any) -> None:
    """Both workers may be killed at once: the master must reap both, or closing would hang."""

    def service_actions(self: Any) -> None:
        killed = [w.pid for w in self.prefork_status() if w.state == "killed"]
        assert all(has_ended(pid) for pid in killed)

    server = pool_of(
        answer_pid,
        worker_started=lambda self: threading.Event().wait(),
        service_actions=service_actions,
        settings={"start_timeout": 0.05},
    )
    with pytest.raises(StartError):
        within(lambda: server.serve_forever(0.01))
    within(server.server_close)
    assert children() == set()
    assert "start_timeout" in caplog.text
    errors()


def test_a_server_that_could_not_start_may_try_again(errors: Any) -> None:
    """The second time, the database is available."""
    broken = [True]

    def worker_started(self: Any) -> None:
        if broken:
            raise ValueError("not yet")

    server = pool_of(answer_pid, worker_started=worker_started)
    with pytest.raises(StartError):
        within(lambda: server.serve_forever(0.01))
    broken.clear()
    thread = start_serving(server)
    assert int(ask(server.server_address)) != os.getpid()
    thread.shut_down()
    within(server.server_close)
    assert thread.raised is None
    errors()


def test_a_later_worker_that_cannot_start_does_not_end_the_server(
    running: Any, errors: Any, told: Told
) -> None:
    """Only a failure of the first workers ends the server; here another worker still serves."""
    broken: list[bool] = []

    def worker_started(self: Any) -> None:
        if broken:
            told.say("failed")
            raise ValueError("broken by now")

    # Forked from the master, a later worker sees its present memory.
    settings = {"fork_from": "master"}
    with running(pool_of(answer_pid, worker_started=worker_started, settings=settings)) as server:
        workers = idle_workers(server, 2)
        ask(server.server_address)
        broken.append(True)
        os.kill(min(workers), signal.SIGKILL)
        told.wait_for(b"failed")
        for _ in range(5):
            assert int(ask(server.server_address)) == max(workers)
        logged = lambda: any("broken by now" in text for text in errors())  # noqa: E731
        eventually(logged, what="the reason in the log")
    errors()


def test_the_hooks_run_in_each_worker_before_and_after_its_requests(
    running: Any, told: Told
) -> None:
    """worker_started() opens the database connection, worker_leaving() closes it."""

    def announce(word: str) -> Any:
        return lambda self: told.say(word, os.getpid())

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("request", os.getpid())

    server = pool_of(
        handler, worker_started=announce("started"), worker_leaving=announce("leaving"), workers=2
    )
    with running(server):
        workers = idle_workers(server, 2)
        for _ in range(6):
            ask(server.server_address)
    announced: dict[int, list[bytes]] = {pid: [] for pid in workers}
    for line in told.so_far():
        word, pid = line.split()
        announced[int(pid)].append(word)
    for words in announced.values():
        assert words[0] == b"started"
        assert words[-1] == b"leaving"
        assert set(words[1:-1]) <= {b"request"}
    assert sum(words.count(b"request") for words in announced.values()) == 6


def test_the_hooks_run_for_a_forked_request_too(running: Any, told: Told) -> None:
    """A program may change the strategy without other changes."""
    server = pool_of(
        answer_pid,
        strategy="fork",
        worker_started=lambda self: told.say("started", os.getpid()),
        worker_leaving=lambda self: told.say("leaving", os.getpid()),
    )
    with running(server):
        pid = ask(server.server_address)
        assert told.wait_for(b"started") == pid
        assert told.wait_for(b"leaving") == pid


def test_with_the_strategy_fork_each_request_has_a_process_of_its_own(running: Any) -> None:
    """What a handler changes in its process ends with the request."""
    with running(pool_of(answer_pid, strategy="fork", workers=3)) as server:
        pids = {int(ask(server.server_address)) for _ in range(10)}
        assert len(pids) == 10
        assert os.getpid() not in pids


def test_a_forked_request_sees_what_the_master_has_just_changed(running: Any) -> None:
    """Persistent workers do not see such changes."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(server.word)

    with running(pool_of(handler, strategy="fork")) as server:
        for word in (b"one", b"two"):
            server.word = word
            assert ask(server.server_address) == word


def test_the_last_messages_of_a_worker_are_read_although_it_left_an_order_unread() -> None:
    """A failed start while a RETIRE order was unread used to lose its reason.

    The kernel reports the unread order (ECONNRESET) before the messages, which looked like the end.
    """
    master, worker = Channel.pair()
    master.send(Message(Kind.RETIRE))
    worker.send(Message(Kind.FAILED, b"the reason"))
    worker.send(Message(Kind.STOP))
    worker.close()
    received = [master.receive() for _ in range(3)]
    master.close()
    assert received == [Message(Kind.FAILED, b"the reason"), Message(Kind.STOP), None]


def test_the_traceback_of_a_failed_start_may_contain_anything(errors: Any) -> None:
    """For example half of a character, from a file name that is not valid UTF-8."""

    def worker_started(self: Any) -> None:
        raise ValueError("no such file: \udcff")

    with (
        pool_of(answer_pid, worker_started=worker_started) as server,
        pytest.raises(StartError) as raised,
    ):
        within(lambda: server.serve_forever(0.01))
    assert "no such file: \\udcff" in str(raised.value)
    errors()
