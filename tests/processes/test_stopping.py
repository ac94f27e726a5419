"""Stopping loses no client: those that wait in the backlog are served before the server ends."""

import os
import select
import signal
from pathlib import Path
from typing import Any

import pytest

from prefork import PreforkTCPServer, PreforkUnixStreamServer
from tests.support.announcements import Gate, Told
from tests.support.children import child_running, state_of
from tests.support.clients import ask, connect, receive_all
from tests.support.deadlines import EXCHANGE, stretched, within
from tests.support.polling import eventually
from tests.support.pools import (
    LOOPBACK,
    PERSISTENT,
    Handler,
    answer,
    answers_if_stopped,
    idle_workers,
    pool_of,
    refuses,
    served,
    states,
    wait_until_gone,
    waiting_clients,
)
from tests.support.serving import start_serving


@pytest.fixture(params=[PreforkTCPServer, PreforkUnixStreamServer])
def kind(request: pytest.FixtureRequest, short_path: Path) -> dict[str, Any]:
    """The arguments for a pool with a TCP socket, and with a Unix socket."""
    unix = request.param is PreforkUnixStreamServer
    return {"base": request.param, "address": str(short_path / "s") if unix else LOOPBACK}


@pytest.mark.one_queue
def test_clients_in_the_backlog_are_served_before_the_listener_closes(
    strategy: str, kind: dict[str, Any], held: Handler, told: Told, gate: Gate
) -> None:
    """gunicorn serves 2 of 20 clients in this situation."""
    server = pool_of(held, strategy=strategy, workers=2, **kind)
    assert answers_if_stopped(server, told, gate, clients=20, entered=2) == served(20)
    assert refuses(server.server_address)


def test_clients_that_come_after_shutdown_are_served_before_the_listener_closes(
    strategy: str, kind: dict[str, Any], held: Handler, gate: Gate
) -> None:
    """Between the end of the loop and server_close() the port still accepts connections."""
    gate.open()
    server = pool_of(held, strategy=strategy, workers=2, **kind)
    thread = start_serving(server)
    if strategy in PERSISTENT:
        workers = idle_workers(server, 2)
    thread.shut_down()
    if strategy in PERSISTENT:
        eventually(lambda: all(_ended(pid) for pid in workers), what="end of the idle workers")
    with waiting_clients(server.server_address, 5) as clients:
        within(server.server_close)
        assert [answer(client) for client in clients] == served(5)


def _ended(pid: int) -> bool:
    return state_of(pid) in ("Z", "")


def test_a_worker_that_dies_while_stopping_loses_its_own_request_only(
    strategy: str, kind: dict[str, Any], told: Told, gate: Gate, errors: Any
) -> None:
    """Clients in the backlog used to wait for the dead worker; the pool must replace it."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        number = request.recv(100)
        told.say("entered")
        gate.wait()
        if number == b"0":
            os._exit(1)
        request.sendall(b"served " + number)

    server = pool_of(handler, strategy=strategy, workers=1, **kind)
    assert answers_if_stopped(server, told, gate, clients=4) == [b"", *served(4)[1:]]
    errors()


def test_a_worker_at_its_limit_still_serves_the_backlog_when_the_server_stops(
    kind: dict[str, Any], held: Handler, told: Told, gate: Gate
) -> None:
    """The only worker serves its last request when the server ends.

    It used to leave because of `max_requests`, with the order to drain the backlog unread.
    """
    server = pool_of(held, workers=1, settings={"max_requests": 1}, **kind)
    assert answers_if_stopped(server, told, gate, clients=4) == served(4)


def test_sigterm_to_a_worker_while_stopping_loses_no_client(
    kind: dict[str, Any], held: Handler, told: Told, gate: Gate
) -> None:
    """A service manager may signal the workers together with the master."""
    server = pool_of(held, workers=1, **kind)

    def signal_the_worker() -> None:
        [worker] = server.prefork_status()
        os.kill(worker.pid, signal.SIGTERM)

    answers = answers_if_stopped(server, told, gate, clients=4, meanwhile=signal_the_worker)
    assert answers == served(4)


def test_clients_that_keep_connecting_cannot_delay_the_end_without_limit(
    strategy: str, kind: dict[str, Any]
) -> None:
    """At some point later clients are refused, so that the server ends."""
    server = pool_of(
        lambda request, address, server: request.sendall(b"x"), strategy=strategy, **kind
    )
    thread = start_serving(server)
    address = server.server_address

    def connect_in_a_loop() -> None:
        server.socket.close()  # this process is only a client
        while True:
            try:
                ask(address)
            except OSError:
                os._exit(0)

    with child_running(connect_in_a_loop):
        eventually(lambda: server.prefork_status() or strategy == "fork", what="a worker")
        thread.shut_down()
        within(server.server_close)
        # The client's last connection has been refused or reset by now, so the child ends.
        if strategy in PERSISTENT:
            assert states(server) == []


def test_without_block_on_close_the_backlog_is_served_as_well(
    kind: dict[str, Any], held: Handler, told: Told, gate: Gate
) -> None:
    """With `block_on_close = False` closing returns at once, and the workers drain the backlog."""
    server = pool_of(held, workers=1, block_on_close=False, **kind)
    thread = start_serving(server)
    with waiting_clients(server.server_address, 4) as clients:
        pid = int(told.wait_for(b"entered"))
        thread.shut_down()
        within(server.server_close)
        gate.open()
        assert [answer(client) for client in clients] == served(4)
    within(lambda: server.collect_children(blocking=True))
    wait_until_gone({pid})
    within(server.server_close)


@pytest.mark.one_queue
def test_sigterm_handled_by_the_program_drains_the_pool(
    strategy: str, kind: dict[str, Any], held: Handler, told: Told, gate: Gate
) -> None:
    """A service manager sends SIGTERM; the program's signal handler only calls shutdown()."""
    server = pool_of(held, strategy=strategy, workers=2, **kind)

    def serve() -> None:
        signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
        with server:
            server.serve_forever(None)

    with child_running(serve) as master:
        with waiting_clients(server.server_address, 10) as clients:
            for _ in range(2):
                told.wait_for(b"entered")
            server.socket.close()  # this process must not hold the listener
            master.signal(signal.SIGTERM)
            gate.open()
            assert [answer(client) for client in clients] == served(10)
        assert master.exit_code() == 0


def test_prefork_stop_lets_workers_finish(
    strategy: str, held: Handler, told: Told, gate: Gate
) -> None:
    server = pool_of(held, strategy=strategy)
    thread = start_serving(server)
    with connect(server.server_address) as client:
        client.sendall(b"last")
        told.wait_for(b"entered")
        server.prefork_stop()
        within(thread.join)
        gate.open()
        assert receive_all(client) == b"served last"
        within(server.server_close)


def test_a_forced_stop_ends_all_workers_at_once(strategy: str, held: Handler, told: Told) -> None:
    """The program does this at the second Ctrl-C."""
    server = pool_of(held, strategy=strategy)
    thread = start_serving(server)
    with connect(server.server_address) as client:
        told.wait_for(b"entered")
        server.prefork_stop(force=True)
        assert select.select([client], [], [], stretched(EXCHANGE))[0]
        thread.shut_down()
        within(server.server_close)


def test_a_stop_from_a_handler_ends_the_server(strategy: str) -> None:
    """It used to do nothing in a worker, while `shutdown()` asked the master."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        server.prefork_stop()
        request.sendall(b"stopping")

    server = pool_of(handler, strategy=strategy)
    thread = start_serving(server)
    with connect(server.server_address) as client:
        assert receive_all(client) == b"stopping"
    within(thread.join)
    within(server.server_close)
