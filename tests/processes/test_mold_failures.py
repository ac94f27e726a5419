"""Promotions that fail, molds that die, and how the pool continues without them."""

import _thread
import dataclasses
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from prefork.socketserver.pool.mixin import master_of
from prefork.workers import threads
from tests.support.announcements import Told
from tests.support.children import child_running, state_of
from tests.support.clients import ask, connect
from tests.support.deadlines import PATIENCE
from tests.support.molds import generations, reforking_pool, wait_until_renewed
from tests.support.polling import eventually
from tests.support.pools import (
    PERSISTENT,
    answer,
    answer_pid,
    events,
    idle_workers,
)
from tests.support.programs import (
    AT_ONCE,
    HOLDING,
    orphans_end,
    program,
    the_fork_server,
)

pytestmark = pytest.mark.usefixtures("no_pauses")


def test_no_mold_is_forked_from_a_worker_with_threads(
    running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock held by the thread would stay locked: the workers stay, and that is logged once."""
    started: list[threading.Thread] = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        if not started:
            started.append(threading.Thread(target=threading.Event().wait, daemon=True))
            started[0].start()
        request.sendall(b"%d" % os.getpid())

    caplog.set_level(logging.DEBUG, "prefork")
    with running(reforking_pool(handler)) as server:
        workers = idle_workers(server, 2)
        refused = lambda: ask(server.server_address) and "it has 2 threads" in caplog.text  # noqa: E731
        eventually(refused, what="the reason in the log")
        eventually(lambda: ask(server.server_address) and _failures(caplog) > 2, what="retries")
        assert server.active_children == workers
        assert set(generations(server)) == {0}
    failed = events(caplog.records, "promotion_failed")
    assert {record.reason for record in failed} == {"it has 2 threads"}
    assert [record.levelno for record in failed].count(logging.WARNING) == 1


def _failures(caplog: pytest.LogCaptureFixture) -> int:
    return len(events(caplog.records, "promotion_failed"))


def test_a_worker_that_can_load_no_module_can_fork_a_mold(running: Any) -> None:
    """After chroot(2), say; the worker used to crash when it was told to fork."""

    def worker_started(self: Any) -> None:
        sys.modules.pop("ctypes", None)
        sys.meta_path.clear()

    pool = reforking_pool(answer_pid, worker_started=worker_started)
    pool.prefork_settings = dataclasses.replace(pool.prefork_settings, process_titles=False)
    with running(pool):
        idle_workers(pool, 2)
        wait_until_renewed(pool)


def test_a_hook_that_raises_fails_the_promotion(
    running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def worker_promoted(self: Any) -> None:
        raise ValueError("the connection cannot be shared")

    with running(reforking_pool(answer_pid, worker_promoted=worker_promoted)) as server:
        workers = idle_workers(server, 2)
        refused = lambda: ask(server.server_address) and _failures(caplog)  # noqa: E731
        eventually(refused, what="the reason in the log")
        assert server.active_children == workers
    failed = events(caplog.records, "promotion_failed")[0]
    assert failed.pid in workers
    first, _, traceback = failed.getMessage().partition("\n")
    assert "worker_promoted() raised ValueError('the connection cannot be shared');" in first
    assert "Traceback" in traceback


def test_a_hook_that_starts_threads_fails_the_promotion(
    running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """They would be alive at every fork of a worker."""

    def worker_promoted(self: Any) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    with running(reforking_pool(answer_pid, worker_promoted=worker_promoted)) as server:
        idle_workers(server, 2)
        refused = lambda: ask(server.server_address) and _failures(caplog)  # noqa: E731
        eventually(refused, what="the reason in the log")
    assert "2 threads are left after worker_promoted(); a mold may have only one" in caplog.text


def test_a_mold_that_does_not_become_ready_is_given_up(
    running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pool = reforking_pool(
        answer_pid,
        worker_promoted=lambda self: threading.Event().wait(),
        settings={"start_timeout": 0.5 * PATIENCE},
    )
    with running(pool) as server:
        workers = idle_workers(server, 2)
        refused = lambda: ask(server.server_address) and "start_timeout" in caplog.text  # noqa: E731
        eventually(refused, what="the reason in the log")
        assert server.active_children == workers


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_a_killed_mold_does_not_stop_the_pool(
    strategy: str, running: Any, errors: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Until there is another mold, workers are forked as with `auto`."""
    with running(reforking_pool(answer_pid, after=30, strategy=strategy)) as server:
        idle_workers(server, 2)
        wait_until_renewed(server)
        mold = the_fork_server()
        os.kill(mold, signal.SIGKILL)
        eventually(lambda: not state_of(mold), what="end of the mold")
        victim = min(idle_workers(server, 2))
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in server.active_children, what="end of the worker")
        idle_workers(server, 2)
        wait_until_renewed(server, 2)
    lost = [(r.pid, r.reason) for r in events(caplog.records, "mold_exit")]
    assert lost == [(mold, "was killed by SIGKILL")]
    assert len(errors()) == 1


def test_a_mold_whose_workers_cannot_start_is_given_up(
    running: Any, errors: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect in the memory of the mold would be in each of its workers."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        warm.append(True)
        request.sendall(b"%d" % os.getpid())

    def worker_started(self: Any) -> None:
        assert not warm, "there is a connection already"

    warm: list[bool] = []
    with running(reforking_pool(handler, after=20, worker_started=worker_started)) as server:
        idle_workers(server, 2)
        lost = lambda: ask(server.server_address) and events(caplog.records, "mold_exit")  # noqa: E731
        eventually(lost, what="the reason")
        [exited, *_] = events(caplog.records, "mold_exit")
        assert exited.reason == "forked a worker that could not start"
        idle_workers(server, 2)
    errors()


def test_the_mold_ends_with_its_killed_master(elsewhere: Path) -> None:
    code = HOLDING.replace("strategy={strategy!r}", "fork_from='mold', refork_after=5")
    code += "from prefork.policies import promotion\npromotion.LOOK_INTERVAL = 0.01\n"
    with program(code + "server.serve_forever(0.01)\n", elsewhere) as it:
        address = it.address()
        eventually(lambda: ask(address) and len(it.fork_servers()) == 1, what="a mold")
        processes = it.workers(2) | it.fork_servers()
        os.kill(it.pid, signal.SIGKILL)
        it.ends()
        assert orphans_end(processes, AT_ONCE)


def test_a_worker_that_dies_before_it_has_forked_fails_the_promotion(
    running: Any, told: Told, errors: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker was busy when the order to fork came."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        if request.recv(1) == b"h":
            told.say("held", os.getpid())
            request.recv(1)
        request.sendall(b"%d" % os.getpid())

    with running(reforking_pool(handler, after=5, workers=1)) as server:
        idle_workers(server, 1)
        for _ in range(4):
            ask(server.server_address, b"x")
        with connect(server.server_address) as client:
            client.sendall(b"h")
            pid = int(told.wait_for(b"held"))
            server.prefork_settings = type(server.prefork_settings)(
                fork_from="mold", refork_after=4
            )
            eventually(lambda: promotion_is_under_way(server), what="a promotion")
            os.kill(pid, signal.SIGKILL)
            assert answer(client) == b""
        eventually(lambda: "it exited before it was ready" in caplog.text, what="the reason")
        idle_workers(server, 1)
    errors()


def promotion_is_under_way(server: Any) -> bool:
    master: Any = master_of(server)
    return master._origin._promotion is not None


def test_threads_that_python_does_not_know_are_counted() -> None:
    """Threads of numerical libraries hold locks, too."""

    def run() -> None:
        assert threads.count() == 1
        lock = _thread.allocate_lock()
        lock.acquire()
        _thread.start_new_thread(lock.acquire, ())
        assert threads.count() == 2
        assert threading.active_count() == 1

    with child_running(run) as child:
        assert child.exit_code() == 0
