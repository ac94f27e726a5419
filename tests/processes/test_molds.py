"""Molds: workers forked from a warm worker, and rollouts from one generation to the next."""

import gc
import inspect
import logging
import os
import threading
from dataclasses import replace
from typing import Any

import pytest

from prefork import PreforkUDPServer, ThreadingMixIn
from prefork.socketserver.pool.mixin import master_of
from prefork.state.lifecycle import WorkerState
from tests.support.announcements import Gate, Told
from tests.support.children import command_of
from tests.support.clients import ask, connect, datagram_socket
from tests.support.deadlines import EXCHANGE, stretched, within
from tests.support.groups import Tcp, group_of
from tests.support.load import ClientLoad
from tests.support.molds import generations, reforking_pool, wait_until_renewed
from tests.support.polling import eventually
from tests.support.pools import (
    LOOPBACK,
    PERSISTENT,
    Threaded,
    answer,
    answer_pid,
    events,
    idle_workers,
    states,
)
from tests.support.programs import (
    fork_servers_here,
    the_fork_server,
    workers_here,
)
from tests.support.serving import start_serving

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_the_next_generation_shares_what_one_worker_has_loaded(
    strategy: str, running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Caches, metadata of connections and compiled code are then loaded once."""
    caplog.set_level(logging.INFO, "prefork")
    loaded: list[int] = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        if not loaded:
            loaded.append(os.getpid())
        request.sendall(b"%d" % loaded[0])

    server = reforking_pool(handler, strategy=strategy, workers=3)
    with running(server):
        first = idle_workers(server, 3)
        wait_until_renewed(server)
        loaders = {int(ask(server.server_address)) for _ in range(12)}
        assert len(loaders) == 1
        assert loaders <= first
        assert not loaders & server.active_children
    ready = events(caplog.records, "generation_ready")[0]
    assert ready.generation == 1
    assert {ready.parent_pid} == loaders


@pytest.mark.slow
@pytest.mark.parametrize("strategy", PERSISTENT)
def test_no_client_is_lost_during_rollouts_under_load(strategy: str, running: Any) -> None:
    """At most `max_unavailable` workers are missing, and at most `max_children` exist."""
    least, most = 99, 0

    def count(self: Any) -> None:
        nonlocal least, most
        master: Any = master_of(self)
        records = list(master._pool)
        if records and max(record.generation for record in records):
            least = min(least, sum(r.state is WorkerState.SERVING for r in records))
        most = max(most, len(records))

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.recv(1)
        request.sendall(b"%d served" % os.getpid())

    server = reforking_pool(handler, strategy=strategy, workers=4, service_actions=count)
    with running(server):
        idle_workers(server, 4)
        load = ClientLoad(server.server_address)
        with load.running():
            while min(generations(server), default=0) < 3:
                load.wait_for_answers(10)
    assert load.refused == []
    assert load.broken == []
    assert least >= 3
    assert most == 4


def test_at_most_max_unavailable_workers_are_missing(running: Any, gate: Gate) -> None:
    """New workers that do not become ready halt the rollout."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        warm.append(True)
        request.sendall(b"x")

    warm: list[bool] = []
    server = reforking_pool(
        handler,
        workers=4,
        worker_started=lambda self: gate.wait() if warm else None,
        settings={"max_unavailable": 2},
    )
    with running(server):
        idle_workers(server, 4)

        def two_are_starting() -> bool:
            ask(server.server_address)
            found = states(server)
            return len(found) == 4 and found.count("starting") == 2

        eventually(two_are_starting, what=f"two workers that start ({states(server)} now)")
        for _ in range(10):
            assert two_are_starting()
        gate.open()
        wait_until_renewed(server)


def test_the_hooks_run_in_the_mold_and_in_each_worker(running: Any, told: Told) -> None:
    """The mold closes what must not be shared, and each worker opens its own copy."""
    server = reforking_pool(
        answer_pid,
        after=50,
        worker_started=lambda self: told.say("started", os.getpid()),
        worker_promoted=lambda self: told.say("promoted", os.getpid()),
        worker_leaving=lambda self: told.say("leaving", os.getpid()),
    )
    with running(server):
        first = idle_workers(server, 2)
        wait_until_renewed(server)
        mold = the_fork_server()
        assert command_of(mold) == "prefork: mold"
        assert mold not in server.active_children
        workers = idle_workers(server, 2)
        assert workers_here() == workers
    announced = told.so_far()
    assert b"promoted %d" % mold in announced
    assert {b"started %d" % pid for pid in first | workers} <= set(announced)
    assert {b"leaving %d" % pid for pid in first | workers} <= set(announced)
    assert b"leaving %d" % mold not in announced


def test_one_mold_replaces_another_and_nothing_accumulates(running: Any) -> None:
    """Neither stack frames nor descriptors accumulate over the generations."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        descriptors = len(os.listdir("/proc/self/fd"))
        request.sendall(b"%d %d" % (len(inspect.stack(0)), descriptors))

    with running(reforking_pool(handler, after=3, workers=1)) as server:
        wait_until_renewed(server, 1)
        before = ask(server.server_address)
        wait_until_renewed(server, 5)
        the_fork_server()
        assert ask(server.server_address) == before


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_workers_with_threads_are_replaced_between_requests(strategy: str, running: Any) -> None:
    """Each worker counts its requests once."""
    server = reforking_pool(answer_pid, base=Threaded, strategy=strategy)
    with running(server):
        wait_until_renewed(server, 2)
        workers = idle_workers(server, 2)
        served = sum(worker.served for worker in server.prefork_status())
        for _ in range(4):
            if int(ask(server.server_address)) not in workers:
                return  # the next generation is here already
        idle_workers(server, 2)
        if server.active_children == workers:
            assert sum(w.served for w in server.prefork_status()) == served + 4


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_a_rollout_replaces_the_workers_of_a_group(strategy: str, running: Any, told: Told) -> None:
    """Each member keeps serving, with threads or without."""

    def name_thread(request: Any, client_address: Any, server: Any) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        request.sendall(b"main thread" if is_main else b"thread of its own")

    class Threads(ThreadingMixIn, Tcp):
        worker_promoted = lambda self: told.say("promoted")  # noqa: E731

    kinds = (Tcp,) if strategy == "handoff" else (Tcp, Threads)
    members = [kind(LOOPBACK, name_thread) for kind in kinds]
    group = group_of(*members, strategy=strategy)
    group.prefork_settings = replace(group.prefork_settings, fork_from="mold", refork_after=10)
    with running(group):

        def renewed() -> bool:
            for one in members:
                expected = b"thread of its own" if isinstance(one, Threads) else b"main thread"
                assert ask(one.server_address) == expected
            return len(group.prefork_status()) == 2 and min(generations(group)) >= 2

        eventually(renewed, what="generation 2")
    if Threads in kinds:
        told.wait_for(b"promoted")


def test_recycled_workers_are_replaced_from_the_mold(running: Any) -> None:
    """`max_requests` applies in every generation."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        loaded.append(os.getpid())
        request.sendall(b"%d %d" % (loaded[0], os.getpid()))

    loaded: list[int] = []
    pool = reforking_pool(handler, after=5, workers=1, settings={"max_requests": 8})
    with running(pool) as server:
        wait_until_renewed(server)
        seen = [ask(server.server_address).split() for _ in range(30)]
    assert {loader for loader, _ in seen} == {seen[0][0]}
    assert len({pid for _, pid in seen}) >= 3


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_a_server_may_close_during_a_promotion(
    strategy: str, told: Told, gate: Gate, errors: Any
) -> None:
    """The mold is not a worker, so closing does not wait for it."""

    def worker_promoted(self: Any) -> None:
        told.say("promoted", os.getpid())
        gate.wait()

    server = reforking_pool(answer_pid, strategy=strategy, worker_promoted=worker_promoted)
    thread = start_serving(server)
    eventually(lambda: ask(server.server_address) and told.so_far(), what="a mold")
    thread.shut_down()
    within(server.server_close)
    assert thread.raised is None
    assert not workers_here() | fork_servers_here()


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_a_server_may_close_while_workers_are_replaced(
    strategy: str, told: Told, gate: Gate
) -> None:
    server = reforking_pool(
        answer_pid, strategy=strategy, workers=3, worker_promoted=lambda self: told.say("promoted")
    )
    thread = start_serving(server)
    eventually(lambda: ask(server.server_address) and told.so_far(), what="a mold")
    with connect(server.server_address) as client:
        thread.shut_down()
        within(server.server_close)
        assert answer(client).isdigit()
    assert thread.raised is None
    assert not workers_here() | fork_servers_here()


def test_a_rollout_replaces_the_workers_of_a_datagram_server(running: Any) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        _, sock = request
        loaded.append(os.getpid())
        sock.sendto(b"%d" % loaded[0], client_address)

    loaded: list[int] = []
    server = reforking_pool(handler, base=PreforkUDPServer, address=LOOPBACK, after=5)
    with running(server), datagram_socket(server.server_address) as client:
        client.settimeout(stretched(EXCHANGE))

        def loader() -> bytes:
            client.sendto(b"x", server.server_address)
            return client.recv(100)

        eventually(lambda: loader() and min(generations(server)) >= 3, what="generation 3")
        assert len({loader() for _ in range(10)}) == 1


def test_a_mold_freezes_what_its_workers_share(running: Any) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        kept.append([[] for _ in range(1000)])
        request.sendall(b"%d" % gc.get_freeze_count())

    kept: list[Any] = []
    with running(reforking_pool(handler, workers=1)) as server:
        idle_workers(server, 1)
        before = int(ask(server.server_address))
        wait_until_renewed(server)
        assert int(ask(server.server_address)) > before + 5000
