"""Advice from the readings of a running server, taken in another thread than that of its loop."""

import contextlib
import time
from typing import Any

import pytest

from prefork import (
    PreforkGroup,
    PreforkTCPServer,
    PreforkUnixStreamServer,
    TCPServer,
    UnixStreamServer,
)
from prefork.advice import advise
from prefork.state.snapshot import PoolReading
from tests.conftest import Running
from tests.support.clients import ask
from tests.support.polling import eventually
from tests.support.pools import (
    Handler,
    Threaded,
    answer,
    idle_workers,
    pool_of,
    waiting_clients,
)

BURNT = 0.01
REQUESTS = 24


def burn(request: Any, client_address: Any, server: Any) -> None:
    """A request handler that uses 10 ms of CPU time."""
    request.recv(10)
    began = time.thread_time()
    while time.thread_time() < began + BURNT:
        pass
    request.sendall(b"served")


def in_the_system(reading: PoolReading) -> tuple[int, int]:
    """The numbers of requests in flight and of clients that wait."""
    return sum(worker.in_flight for worker in reading.workers), reading.depth.waiting


def two_readings(server: Any, in_flight: int, waiting: int) -> tuple[PoolReading, PoolReading]:
    """Wait until the pool is in that state and its workers use no CPU time; read it twice."""

    def take() -> tuple[PoolReading, PoolReading] | None:
        before, after = server.prefork_reading(), server.prefork_reading()
        idle = [w.cpu for w in before.workers] == [w.cpu for w in after.workers]
        if not idle or in_the_system(before) != (in_flight, waiting):
            return None
        return before, after._replace(cpu=before.cpu)  # without the load of other programs

    found = eventually(take, what=f"{in_flight} requests in flight and {waiting} waiting clients")
    assert found is not None
    return found


def test_advice_for_a_handler_that_computes_is_about_one_worker_for_each_core(
    running: Running,
) -> None:
    server = pool_of(burn, workers=4)
    before = server.prefork_reading()
    # All requests are sent before the first worker runs, so that no worker waits for a client.
    with waiting_clients(server.server_address, REQUESTS) as clients, running(server):
        assert [answer(client) for client in clients] == [b"served"] * REQUESTS
        # A client has its answer before the worker has noted that it was served.
        eventually(
            lambda: sum(one.served for one in server.prefork_status()) == REQUESTS,
            what="the last request on the scoreboard",
        )
        after = server.prefork_reading()
    found = advise(before, after._replace(cpu=before.cpu))  # without the load of other programs
    assert found.max_children <= after.cores + 1, found.reasons
    assert found.reasons[1].startswith("A request takes ")


@pytest.mark.parametrize("strategy", ["accept", "handoff"])
@pytest.mark.parametrize("base", [PreforkTCPServer, PreforkUnixStreamServer])
def test_advice_for_handlers_that_wait_is_enough_workers_for_all_concurrent_clients(
    strategy: str, base: Any, running: Running, held: Handler, short_path: Any
) -> None:
    address = ("127.0.0.1", 0) if base is PreforkTCPServer else str(short_path / "server")
    server = pool_of(held, strategy=strategy, base=base, address=address)
    with running(server), waiting_clients(server.server_address, 12):
        before, after = two_readings(server, in_flight=2, waiting=10)
        found = advise(before, after)
        assert 12 < found.max_children <= 22
        assert "10 clients waited" in found.reasons[0]
        memory = 3 * sum(worker.memory or 0 for worker in after.workers) // 2
        limited = advise(before, after, memory=memory)
        assert limited.max_children == 3
        assert "Memory limits the pool to 3 workers" in " ".join(limited.reasons)


def test_threads_are_advised_where_memory_has_no_room_for_more_workers(
    running: Running, held: Handler
) -> None:
    server = pool_of(held, base=Threaded, workers=1, settings={"threads": 2})
    with running(server), waiting_clients(server.server_address, 6):
        before, after = two_readings(server, in_flight=2, waiting=4)
        found = advise(before, after, memory=after.workers[0].memory)
        assert found.max_children == 1
        assert 6 <= found.threads <= 13


def test_clients_at_each_listener_of_reuseport_are_counted(running: Running, held: Handler) -> None:
    server = pool_of(held, strategy="reuseport")
    with running(server):
        idle_workers(server, 2)
        with waiting_clients(server.server_address, 12):
            eventually(
                lambda: sum(in_the_system(server.prefork_reading())) == 12,
                what="twelve clients in total",
            )


def test_clients_of_all_members_of_a_group_are_counted(
    running: Running, held: Handler, short_path: Any
) -> None:
    web = TCPServer(("127.0.0.1", 0), held)
    admin = UnixStreamServer(str(short_path / "admin"), held)
    group = PreforkGroup(web, admin)
    group.max_children = 1
    with running(group), contextlib.ExitStack() as stack:
        for member in (web, admin):
            stack.enter_context(waiting_clients(member.server_address, 3))
        two_readings(group, in_flight=1, waiting=5)


def test_a_reading_is_empty_before_the_pool_starts_and_in_a_worker(running: Running) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        reading = server.prefork_reading()
        request.sendall(b"%d %d" % (len(reading.workers), reading.depth.waiting))

    server = pool_of(handler)
    assert server.prefork_reading().workers == ()
    with running(server):
        assert ask(server.server_address) == b"0 0"
