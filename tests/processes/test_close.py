"""Rule 10, and the other ways to end a pool: close, shutdown and stop, from anywhere and twice."""

import os
import threading
from typing import Any

import pytest

from prefork import PreforkTCPServer, TCPServer
from tests.support.announcements import Gate, Told
from tests.support.children import children, reap_orphans, state_of
from tests.support.clients import ask, connect, receive_all
from tests.support.deadlines import Call, within
from tests.support.polling import eventually
from tests.support.pools import (
    LOOPBACK,
    PERSISTENT,
    Handler,
    answer,
    answer_pid,
    cpu_seconds,
    echo,
    idle_workers,
    pool_of,
    refuses,
    wait_for_turns,
    wait_until_gone,
)
from tests.support.programs import workers_here
from tests.support.serving import serving, start_serving


def test_rule_10_a_server_that_never_served_can_be_closed_twice(strategy: str) -> None:
    """Error paths close what they have just built."""
    server = pool_of(answer_pid, strategy=strategy)
    address = server.server_address
    within(server.server_close)
    within(server.server_close)
    assert refuses(address)


def test_rule_10_closing_before_shutdown_ends_the_workers_and_nothing_spins(strategy: str) -> None:
    """werkzeug and others close first and stop the loop later, or never.

    The loop used to watch the number of the closed descriptor, at 100 % CPU.
    """
    turns = threading.Semaphore(0)
    server = pool_of(answer_pid, strategy=strategy)
    server.service_actions = turns.release
    thread = start_serving(server, 0.05)
    ask(server.server_address)
    within(server.server_close)
    assert not server.active_children
    assert children() == set()
    wait_for_turns(turns, 3)  # the closing itself may take some turns
    before = cpu_seconds(os.getpid())
    wait_for_turns(turns, 10)
    used = cpu_seconds(os.getpid()) - before
    turns_since = sum(turns.acquire(blocking=False) for _ in range(1000))
    assert turns_since < 10, "the loop spins"
    assert used < 0.3
    thread.shut_down()
    assert thread.raised is None
    within(server.server_close)


@pytest.mark.parametrize("closed_already", [False, True])
def test_rule_10_a_with_block_leaves_nothing_even_if_all_is_closed_already(
    strategy: str, closed_already: bool
) -> None:
    """This is the documented way to use a server; some programs also close it in the block."""
    with pool_of(answer_pid, strategy=strategy) as server:
        thread = start_serving(server)
        ask(server.server_address)
        thread.shut_down()
        if closed_already:
            within(server.server_close)
    assert children() == set()
    assert not server.active_children
    assert server.prefork_status() == []


def test_rule_10_the_object_may_be_initialized_again_and_serve_again(strategy: str) -> None:
    """Patroni calls `__init__` again when its configuration changes."""
    server = pool_of(answer_pid, strategy=strategy)
    for _ in range(2):
        old = server.server_address
        with serving(server):
            ask(server.server_address)
        assert refuses(old)
        PreforkTCPServer.__init__(server, LOOPBACK, answer_pid)
    server.server_close()


def test_rule_10_the_object_may_get_a_new_socket_and_serve_again(strategy: str) -> None:
    """Some websocket servers replace `self.socket` between two runs."""

    class Other(TCPServer):
        allow_reuse_port = True  # a pool server with reuseport sets this itself

    server = pool_of(answer_pid, strategy=strategy)
    with serving(server):
        ask(server.server_address)
    with Other(LOOPBACK, answer_pid) as other:
        server.socket = other.socket
        server.server_address = other.server_address
        with serving(server):
            assert int(ask(server.server_address)) != os.getpid()


def test_rule_10_a_socket_replaced_between_runs_frees_the_old_port(strategy: str) -> None:
    """A program that takes a new port between two runs expects the old one to be free."""
    server = pool_of(answer_pid, strategy=strategy)
    old = server.server_address
    thread = start_serving(server)
    ask(old)
    thread.shut_down()
    server.socket.close()
    TCPServer.__init__(server, LOOPBACK, answer_pid)
    with serving(server):
        ask(server.server_address)
        eventually(lambda: refuses(old), what="end of the old listener")


@pytest.mark.one_queue
def test_rule_10_close_called_by_the_name_of_the_base_frees_the_port(strategy: str) -> None:
    """`HTTPServer.server_close(self)` skips the mix-in: still, no worker may keep the port open
    without serving it."""
    server = pool_of(answer_pid, strategy=strategy)
    thread = start_serving(server)
    ask(server.server_address)
    thread.shut_down()
    TCPServer.server_close(server)
    try:
        eventually(lambda: refuses(server.server_address), what="a free port")
    finally:
        within(server.server_close)


def test_closing_waits_for_requests_in_flight(
    strategy: str, held: Handler, told: Told, gate: Gate
) -> None:
    """This is the documented meaning of `block_on_close`."""
    server = pool_of(held, strategy=strategy)
    thread = start_serving(server)
    with connect(server.server_address) as client:
        client.sendall(b"x")
        told.wait_for(b"entered")
        thread.shut_down()
        closing = Call(server.server_close)
        # The listener closes first, so that new clients are refused at once. The test does not
        # probe it by connecting, because a client that is just in time is served.
        if strategy == "fork":
            eventually(lambda: server.fileno() < 0, what="closed listener")
            assert refuses(server.server_address)
        assert closing.is_alive()
        gate.open()
        assert receive_all(client) == b"served x"
        closing.result()


def test_without_block_on_close_closing_returns_at_once(
    strategy: str, held: Handler, told: Told, gate: Gate
) -> None:
    """Programs that reload quickly set it; the request is still finished."""
    server = pool_of(held, strategy=strategy, block_on_close=False)
    thread = start_serving(server)
    with connect(server.server_address) as client:
        client.sendall(b"x")
        pid = int(told.wait_for(b"entered"))
        thread.shut_down()
        within(server.server_close)
        assert pid in server.active_children
        gate.open()
        assert receive_all(client) == b"served x"
    within(lambda: server.collect_children(blocking=True))
    assert not server.active_children
    within(server.server_close)


def test_graceful_timeout_bounds_the_wait_and_kills_the_remaining_workers(
    strategy: str, held: Handler, told: Told, caplog: Any
) -> None:
    """A handler that hangs must not keep a service manager waiting."""
    server = pool_of(held, strategy=strategy, settings={"graceful_timeout": 0.05})
    thread = start_serving(server)
    with connect(server.server_address) as client:
        pid = int(told.wait_for(b"entered"))
        thread.shut_down()
        within(server.server_close)
        wait_until_gone({pid})
        assert answer(client) == b""
    assert "graceful_timeout" in caplog.text


def test_graceful_timeout_bounds_the_wait_even_when_more_clients_wait(
    strategy: str, held: Handler, told: Told
) -> None:
    """The next request would hang as well: graceful_timeout limits all of them together."""
    server = pool_of(held, strategy=strategy, workers=1, settings={"graceful_timeout": 0.1})
    thread = start_serving(server)
    with connect(server.server_address), connect(server.server_address):
        told.wait_for(b"entered")
        thread.shut_down()
        try:
            within(server.server_close)
        finally:
            server.prefork_stop(force=True)
    eventually(lambda: children() == set(), what="end of all workers")


def test_shutdown_from_a_handler_ends_the_server(strategy: str) -> None:
    """A "quit" command calls `self.server.shutdown()` in a worker; that must reach the master."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        server.shutdown()
        request.sendall(b"bye")

    with pool_of(handler, strategy=strategy) as server:
        thread = start_serving(server, None)
        assert ask(server.server_address) == b"bye"
        thread.wait_until_it_ended()
        assert thread.raised is None


def test_shutdown_from_a_thread_of_a_handler_ends_the_server(strategy: str) -> None:
    """The well-known recipe: `Thread(target=self.server.shutdown).start()`."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        within(server.shutdown)  # within() calls it in a thread
        request.sendall(b"bye")

    with pool_of(handler, strategy=strategy) as server:
        thread = start_serving(server, None)
        assert ask(server.server_address) == b"bye"
        thread.wait_until_it_ended()


def test_the_private_flag_set_by_a_handler_ends_the_server(strategy: str) -> None:
    """Many programs set it, since there is no documented way to stop from a handler."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        server._BaseServer__shutdown_request = True
        request.sendall(b"bye")

    with pool_of(handler, strategy=strategy) as server:
        thread = start_serving(server, None)
        assert ask(server.server_address) == b"bye"
        thread.wait_until_it_ended()


@pytest.mark.one_queue
def test_a_second_shutdown_from_a_handler_does_not_end_the_next_run(
    strategy: str, gate: Gate, told: Told
) -> None:
    """Two clients send "quit" at the same time; then the program serves again."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        command = request.recv(10)
        told.say("entered", command)
        if command == b"wait":
            gate.wait()
        if command != b"hello":
            server.shutdown()
        request.sendall(b"done")

    with pool_of(handler, strategy=strategy) as server:
        thread = start_serving(server, None)
        with connect(server.server_address) as client:
            client.sendall(b"wait")
            told.wait_for(b"entered")
            assert ask(server.server_address, b"quit") == b"done"
            thread.wait_until_it_ended()
            gate.let_through()
            assert receive_all(client) == b"done"
            # When its worker has ended, the second request to shut down has been sent.
        eventually(lambda: len(workers_here()) < 2 or _all_zombies(), what="end of the worker")
        thread = start_serving(server)
        try:
            assert ask(server.server_address, b"hello") == b"done"
            assert thread.is_alive()
        finally:
            thread.shut_down()
        assert thread.raised is None


def _all_zombies() -> bool:
    return all(state_of(pid) in ("Z", "") for pid in workers_here())


def test_shutdown_may_be_called_by_any_number_of_threads(strategy: str) -> None:
    """Signal handlers, watchdogs and `finally` blocks all may call it."""
    with pool_of(answer_pid, strategy=strategy) as server:
        thread = start_serving(server, None)
        ask(server.server_address)
        for call in [Call(server.shutdown) for _ in range(5)]:
            call.result()
        thread.wait_until_it_ended()


def test_shutdown_returns_at_once_even_if_the_poll_interval_is_long(strategy: str) -> None:
    """Otherwise a test suite would wait for the poll interval with each server that it stops."""
    with pool_of(answer_pid, strategy=strategy) as server:
        thread = start_serving(server, None)  # without a poll interval, only a wake-up ends it
        ask(server.server_address)
        thread.shut_down()


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_a_listener_shared_with_another_program_is_blocking_again_after_the_run(
    strategy: str,
) -> None:
    """A reloader or a service manager may hold the same open socket: it must be blocking again.

    It is non-blocking while the pool serves: the other program may take the client for which a
    worker was woken.
    """
    server = pool_of(answer_pid, strategy=strategy)
    copy = os.dup(server.fileno())
    try:
        with serving(server):
            ask(server.server_address)
            idle_workers(server, 2)
            assert not os.get_blocking(copy)
        assert os.get_blocking(copy)
    finally:
        os.close(copy)


def test_closing_in_a_worker_does_not_close_the_servers_listener(
    strategy: str, running: Any
) -> None:
    """A handler that calls `server_close()` closes no more than its own process's copy."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(request.recv(10))
        if server.close_now:
            server.server_close()

    server = pool_of(handler, strategy=strategy, close_now=True)
    with running(server):
        for _ in range(4):
            assert ask(server.server_address, b"x") == b"x"


def test_no_worker_is_left_when_the_server_was_never_closed() -> None:
    """Django exits by `sys.exit` without closing: workers leave when the loop ends."""
    server = pool_of(echo)
    thread = start_serving(server)
    workers = idle_workers(server, 2)
    thread.shut_down()
    reap_orphans(*workers)
    within(server.server_close)


@pytest.mark.parametrize("fork_from", ["auto", "master"])
def test_the_port_of_a_server_that_starts_later_becomes_free(fork_from: str, running: Any) -> None:
    """Both servers exist before the first one serves, so its processes inherit both listeners."""
    second = pool_of(answer_pid)
    with running(pool_of(answer_pid, settings={"fork_from": fork_from})) as first:
        idle_workers(first, 2)
        with running(second):
            idle_workers(second, 2)
        assert refuses(second.server_address)
        assert ask(first.server_address).isdigit()
