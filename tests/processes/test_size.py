"""The size of a pool: its bound, changes of it, replacement and recycling of workers."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from prefork import Settings
from tests.support.announcements import Gate, Told
from tests.support.children import has_ended
from tests.support.clients import ask, connect, receive_all
from tests.support.deadlines import HANG, Call, stretched
from tests.support.polling import eventually
from tests.support.pools import (
    Handler,
    answer_pid,
    echo,
    idle_workers,
    pool_of,
    states,
    wait_for_turns,
    waiting_clients,
)
from tests.support.programs import program, workers_here


@pytest.mark.one_queue
def test_there_are_never_more_processes_than_max_children(
    strategy: str, running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """Programs rely on the bound for their memory and database connections."""
    most = 0

    def count(self: Any) -> None:
        nonlocal most
        most = max(most, len(workers_here()))

    server = pool_of(held, strategy=strategy, workers=3, service_actions=count)
    with running(server), waiting_clients(server.server_address, 12) as clients:
        for _ in range(3):
            told.wait_for(b"entered")
        for _ in range(9):
            gate.let_through()
            told.wait_for(b"entered")
        gate.open()
        for client in clients:
            assert receive_all(client).startswith(b"served")
    assert most == 3


@pytest.mark.one_queue
def test_a_larger_max_children_takes_effect_at_once(
    strategy: str, running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """An operator raises it because clients are waiting."""
    server = pool_of(held, strategy=strategy, workers=1)
    with running(server), waiting_clients(server.server_address, 3) as clients:
        told.wait_for(b"entered")
        assert len(workers_here()) == 1
        server.max_children = 3
        for _ in range(2):
            told.wait_for(b"entered")
        gate.open()
        for client in clients:
            receive_all(client)


def test_a_smaller_max_children_retires_idle_workers_first(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """A busy worker is never interrupted: its client gets the whole answer."""
    server = pool_of(held, workers=3)
    with running(server):
        workers = idle_workers(server, 3)
        with connect(server.server_address) as client:
            client.sendall(b"x")
            busy = int(told.wait_for(b"entered"))
            server.max_children = 1
            eventually(lambda: server.active_children == {busy}, what="end of the idle workers")
            assert states(server) == ["busy"]
            gate.open()
            assert receive_all(client) == b"served x"
        assert idle_workers(server, 1) == {busy}
        assert busy in workers


def test_surplus_busy_workers_leave_after_their_request(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """All workers are busy: the surplus leaves one request later, and no client is cut off."""
    server = pool_of(held, workers=3)
    with running(server):
        idle_workers(server, 3)
        with waiting_clients(server.server_address, 3) as clients:
            for _ in range(3):
                told.wait_for(b"entered")
            server.max_children = 1
            gate.open()
            assert {receive_all(client) for client in clients} == {
                b"served 0",
                b"served 1",
                b"served 2",
            }
        idle_workers(server, 1)
        assert ask(server.server_address, b"x") == b"served x"


def test_max_children_below_one_still_serves(strategy: str, running: Any) -> None:
    """With 0, the documented class would never serve any request."""
    with running(pool_of(echo, strategy=strategy, workers=0)) as server:
        assert ask(server.server_address, b"x") == b"x"


def test_a_worker_that_dies_is_replaced_within_100_ms(running: Any, told: Told) -> None:
    """Its death wakes the loop, which has no poll interval here."""
    server = pool_of(answer_pid, worker_started=lambda self: told.say("started", os.getpid()))
    with running(server, poll_interval=None):
        workers = {int(told.wait_for(b"started")) for _ in range(2)}
        delays = []
        for _ in range(5):
            ask(server.server_address)
            idle_workers(server, 2)
            victim = workers.pop()
            os.kill(victim, signal.SIGKILL)
            assert has_ended(victim)
            death = time.monotonic()
            workers.add(int(told.wait_for(b"started")))
            delays.append(time.monotonic() - death)
        assert min(delays) < stretched(0.1)
        assert idle_workers(server, 2) == workers


@pytest.mark.usefixtures("errors")
def test_workers_are_recycled_without_losing_a_request(running: Any) -> None:
    """Recycling limits leaks: after `max_requests` requests a worker is replaced."""
    server = pool_of(answer_pid, settings={"max_requests": 5, "max_requests_jitter": 3})
    with running(server):

        def ask_often() -> list[int]:
            return [int(ask(server.server_address)) for _ in range(40)]

        calls = [Call(ask_often) for _ in range(4)]
        served = [pid for call in calls for pid in call.result(HANG)]
        by_worker = {pid: served.count(pid) for pid in set(served)}
        assert max(by_worker.values()) <= 8
        assert len(by_worker) >= 160 / 8
        idle_workers(server, 2)


def test_jitter_gives_workers_different_limits() -> None:
    """Otherwise all workers would leave at the same time."""
    settings = Settings(max_requests=100, max_requests_jitter=50)
    drawn = {settings.drawn_max_requests() for _ in range(200)}
    assert min(drawn) >= 100
    assert max(drawn) <= 150
    assert len(drawn) > 10


def test_a_crash_loop_is_slowed_down_and_the_server_survives(running: Any, errors: Any) -> None:
    """Workers that die before serving are replaced after a growing wait, not in a busy loop."""
    starts = Told()

    def worker_started(self: Any) -> None:
        starts.say("started")
        if self.broken:
            os._exit(9)

    server = pool_of(answer_pid, worker_started=worker_started, workers=1)
    server.broken = False
    try:
        with running(server):
            [worker] = idle_workers(server, 1)
            starts.wait_for(b"started")
            server.broken = True
            os.kill(worker, signal.SIGTERM)
            starts.wait_for(b"started")
            assert has_ended(worker)
            turns = threading.Semaphore(0)
            server.service_actions = turns.release
            wait_for_turns(turns, 30)
            assert len(starts.so_far()) <= 1
            server.broken = False
    finally:
        starts.close()
    errors()


def test_the_request_queue_of_a_pool_is_long() -> None:
    """Clients wait in the backlog while workers are busy; the documented 5 would be too few."""
    server = pool_of(answer_pid)
    assert server.request_queue_size == 1024
    server.server_close()


def test_memory_is_frozen_in_workers_and_not_in_the_program(elsewhere: Path) -> None:
    """A collection in a worker would copy memory that it shares with the master.

    In the program itself nothing may stay frozen, or its garbage would grow without limit.
    """
    code = """
    import gc, signal, threading
    from prefork import PreforkTCPServer, Settings

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    def frozen(request, client_address, server):
        request.sendall(b"%d" % gc.get_freeze_count())

    class Server(PreforkTCPServer):
        max_children = 1

    for freeze in (True, False):
        before = gc.get_freeze_count()  # CPython 3.12 starts with some hundred
        with Server(("127.0.0.1", 0), frozen) as server:
            server.prefork_settings = Settings(gc_freeze=freeze)
            print("serving on", server.server_address[1])
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            signal.sigwait([signal.SIGUSR1])
            print(before, gc.get_freeze_count())
            server.shutdown()
            thread.join()
    """
    with program(code, elsewhere) as it:
        for freeze in (True, False):
            in_worker = int(ask(it.address()))
            os.kill(it.pid, signal.SIGUSR1)
            before, after = (int(word) for word in it.line().split())
            assert after <= before
            assert in_worker > before + 1000 if freeze else in_worker <= before
        assert it.ends() == 0


def test_the_pool_serves_in_the_main_thread_of_a_program(strategy: str, elsewhere: Path) -> None:
    """The documented main program, without threads, runs without a warning and ends cleanly."""
    code = f"""
    import os, signal, warnings
    warnings.simplefilter("error")
    from prefork import PreforkTCPServer, Settings

    def handler(request, client_address, server):
        request.sendall(b"%d" % os.getppid())
        if request.recv(10) == b"quit":
            server.shutdown()

    class Server(PreforkTCPServer):
        max_children = 2
        prefork_settings = Settings(strategy={strategy!r})

    with Server(("127.0.0.1", 0), handler) as server:
        print("serving on", server.server_address[1])
        server.serve_forever()
    print("ended")
    """
    with program(code, elsewhere) as it:
        address = it.address()
        assert int(ask(address, b"x")) == it.pid
        assert int(ask(address, b"quit")) == it.pid
        assert it.ends() == 0
        assert it.remaining_output() == "ended\n"
        assert it.errors() == ""
