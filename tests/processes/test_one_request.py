"""handle_request() of a pool server: each call has one request served by a worker."""

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

from prefork import PreforkUDPServer
from tests.support.announcements import Gate, Told
from tests.support.children import children
from tests.support.clients import ask, connect, datagram_socket, receive_all
from tests.support.deadlines import EXCHANGE, HANG, Call, stretched, within
from tests.support.polling import eventually
from tests.support.pools import (
    PERSISTENT,
    Handler,
    answer,
    answer_pid,
    idle_workers,
    pool_of,
    waiting_clients,
)
from tests.support.serving import serving, start_serving


def test_each_call_serves_one_request_in_a_worker(
    strategy: str, held: Handler, told: Told, gate: Gate
) -> None:
    """The loop is the program's own: each call takes exactly one request."""
    server = pool_of(held, strategy=strategy, timeout=stretched(EXCHANGE))
    with server, waiting_clients(server.server_address, 3) as clients:
        for _ in range(2):
            within(server.handle_request)
            assert int(told.wait_for(b"entered")) != os.getpid()
        assert len(server.active_children) == 2
        gate.open()
        assert [receive_all(client) for client in clients[:2]] == [b"served 0", b"served 1"]
        server.timeout = 0
        clients[2].settimeout(0)
        try:
            early = clients[2].recv(1)
        except BlockingIOError:
            early = b""
        assert early == b"", "the third request was served without a call"


def test_handle_request_never_exceeds_max_children(
    strategy: str, held: Handler, told: Told, gate: Gate
) -> None:
    """A full pool leaves the request in the backlog until a worker is free or the time is up."""
    server = pool_of(held, strategy=strategy, workers=1, timeout=stretched(EXCHANGE))
    with server, waiting_clients(server.server_address, 2) as clients:
        within(server.handle_request)
        told.wait_for(b"entered")
        server.timeout = 0.02
        server.handle_timeout = lambda: "timed out"
        assert within(server.handle_request) == "timed out"
        assert told.so_far() == []
        server.timeout = stretched(EXCHANGE)
        waiting = Call(server.handle_request)
        gate.let_through()
        told.wait_for(b"entered")
        waiting.result()
        assert len(server.active_children) == 1
        gate.open()
        assert [receive_all(client) for client in clients] == [b"served 0", b"served 1"]


def test_the_shorter_of_both_timeouts_applies(strategy: str) -> None:
    """Both the server's `timeout` and that of its socket limit the wait."""
    for own, of_socket in ((0.02, None), (None, 0.02), (0.02, HANG), (HANG, 0.02)):
        with pool_of(answer_pid, strategy=strategy, timeout=own) as server:
            server.handle_timeout = lambda: "timed out"
            server.socket.settimeout(of_socket)
            assert within(server.handle_request) == "timed out"


def test_the_default_timeout_is_the_documented_one() -> None:
    """It is the 300 seconds of ForkingMixIn."""
    with pool_of(answer_pid) as server:
        assert server.timeout == 300


def test_handle_request_may_be_called_before_and_after_serve_forever(strategy: str) -> None:
    """All three requests are served by workers."""
    server = pool_of(answer_pid, strategy=strategy, timeout=stretched(EXCHANGE))

    def one() -> int:
        with connect(server.server_address) as client:
            within(server.handle_request)
            return int(receive_all(client))

    first = one()
    with server:
        with serving_only(server):
            second = int(ask(server.server_address))
        third = one()
    assert os.getpid() not in {first, second, third}
    assert children() == set()


@contextlib.contextmanager
def serving_only(server: Any) -> Iterator[None]:
    """Serve during the block without closing the server.

    Then wait for the end of all workers of this run, since they may still take a request.
    """
    thread = start_serving(server)
    try:
        yield
    finally:
        thread.shut_down()
    assert thread.raised is None
    eventually(
        lambda: server.collect_children() or not server.active_children, what="end of all workers"
    )


def test_graceful_timeout_is_counted_from_the_close(
    strategy: str, held: Handler, told: Told, gate: Gate
) -> None:
    """A worker of handle_request() used to be killed without any time to finish."""
    server = pool_of(
        held,
        strategy=strategy,
        timeout=stretched(EXCHANGE),
        settings={"graceful_timeout": stretched(EXCHANGE)},
    )
    with connect(server.server_address) as client:
        client.sendall(b"x")
        within(server.handle_request)
        told.wait_for(b"entered")
        closing = Call(server.server_close)
        eventually(
            lambda: [w.state for w in server.prefork_status()] == ["retiring"], what="retirement"
        )
        gate.open()
        assert answer(client) == b"served x"
        closing.result()


def after_a_run(handler: Handler, strategy: str) -> Any:
    """Return a pool with a short graceful_timeout whose loop has run once and ended."""
    server = pool_of(
        handler,
        strategy=strategy,
        timeout=stretched(EXCHANGE),
        settings={"graceful_timeout": stretched(0.2)},
    )
    with serving_only(server):
        if strategy in PERSISTENT:
            idle_workers(server, 2)
    return server


def test_graceful_timeout_also_bounds_a_request_taken_after_a_first_run(
    strategy: str, held: Handler, told: Told, caplog: Any
) -> None:
    """The rule for the end does not depend on earlier runs."""
    server = after_a_run(held, strategy)
    with connect(server.server_address) as client:
        client.sendall(b"x")
        within(server.handle_request)
        told.wait_for(b"entered")
        within(server.server_close)
        assert answer(client) == b""
    assert "graceful_timeout" in caplog.text


def test_the_end_of_an_earlier_run_does_not_shorten_the_time_of_a_later_request(
    strategy: str, held: Handler, told: Told, gate: Gate
) -> None:
    """The graceful_timeout of a run does not apply to a request that is taken after it."""
    server = after_a_run(held, strategy)
    with server, connect(server.server_address) as client:
        client.sendall(b"x")
        within(server.handle_request)
        told.wait_for(b"entered")
        server.timeout = 0.2
        within(server.handle_request)  # times out, and checks the deadlines
        within(server.handle_request)
        gate.open()
        assert answer(client) == b"served x"


def test_handle_request_serves_one_datagram(strategy: str) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        data, sock = request
        sock.sendto(b"%s %d" % (data, os.getpid()), client_address)

    server = pool_of(handler, strategy=strategy, base=PreforkUDPServer, timeout=stretched(EXCHANGE))
    with server, datagram_socket(server.server_address) as client:
        for number in range(3):
            client.sendto(b"%d" % number, server.server_address)
            within(server.handle_request)
            data, pid = client.recv(100).split()
            assert int(data) == number
            assert int(pid) != os.getpid()


def test_a_shutdown_under_handle_request_does_not_end_a_later_run(strategy: str) -> None:
    """With ForkingMixIn, shutdown() has no effect under handle_request() either."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        if request.recv(10) == b"quit":
            server.shutdown()
        request.sendall(b"done")

    server = pool_of(handler, strategy=strategy, timeout=stretched(EXCHANGE))
    with waiting_clients(server.server_address, 0), connect(server.server_address) as client:
        client.sendall(b"quit")
        client.shutdown(socket.SHUT_WR)
        within(server.handle_request)
        assert receive_all(client) == b"done"
    with serving(server):
        assert ask(server.server_address, b"x") == b"done"
