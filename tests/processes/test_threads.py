"""Pools with ThreadingMixIn: threads inside each worker, bounded and counted."""

import os
import signal
import threading
from typing import Any

import pytest

from prefork import PreforkMixIn, PreforkTCPServer, TCPServer, ThreadingMixIn, UDPServer
from tests.support.announcements import Gate, Told
from tests.support.clients import ask, connect, datagram_socket, receive_all
from tests.support.deadlines import within
from tests.support.polling import eventually
from tests.support.pools import (
    Handler,
    Threaded,
    answer,
    answers_if_stopped,
    idle_workers,
    pool_of,
    served,
    states,
    wait_until_gone,
    waiting_clients,
)
from tests.support.serving import start_serving


class OwnThread(PreforkMixIn, ThreadingMixIn, TCPServer):
    """Replaces the method that a thread runs without calling it, as several libraries do."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.finish_request(request, client_address)
        self.shutdown_request(request)


class NamedThread(PreforkMixIn, ThreadingMixIn, TCPServer):
    """Calls the method of `ThreadingMixIn` by name, which bypasses all other classes."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        ThreadingMixIn.process_request_thread(self, request, client_address)


class Legacy(ThreadingMixIn, TCPServer):
    """A threaded server without a pool."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)


class OverLegacy(PreforkMixIn, Legacy):
    """The pool as a mix-in for a threaded server."""


class OwnQueue(PreforkMixIn, ThreadingMixIn, TCPServer):
    """Starts its threads itself."""

    def process_request(self, request: Any, client_address: Any) -> None:
        threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        ).start()


@pytest.fixture(params=[Threaded, OwnThread, NamedThread, OverLegacy])
def base(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_worker_serves_concurrently_in_threads(
    base: Any, running: Any, told: Told, gate: Gate
) -> None:
    """Slow clients occupy threads instead of whole workers."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered", os.getpid(), threading.get_ident())
        gate.wait()
        request.sendall(request.recv(10))

    with running(pool_of(handler, base=base, workers=1)) as server:
        with waiting_clients(server.server_address, 5) as clients:
            entered = {told.wait_for(b"entered") for _ in range(5)}
            assert len(entered) == 5
            assert len({line.split()[0] for line in entered}) == 1
            [worker] = server.prefork_status()
            assert (worker.state, worker.in_flight) == ("busy", 5)
            gate.open()
            assert [receive_all(client) for client in clients] == [b"%d" % n for n in range(5)]
        idle_workers(server, 1)
        [worker] = server.prefork_status()
        assert (worker.in_flight, worker.served) == (0, 5)


def test_accepting_stops_at_the_bound(
    base: Any, running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """`threads` bounds the requests in flight in a worker; the next client waits in the backlog."""
    server = pool_of(held, base=base, workers=1, settings={"threads": 2})
    with running(server), waiting_clients(server.server_address, 4) as clients:
        for _ in range(2):
            told.wait_for(b"entered")
        [worker] = server.prefork_status()
        assert worker.in_flight == 2
        gate.let_through()
        told.wait_for(b"entered")  # only now is there room for the third
        assert told.so_far() == []
        assert server.prefork_status()[0].in_flight <= 2
        gate.open()
        assert [receive_all(client) for client in clients] == served(4)


def test_a_full_worker_leaves_clients_to_the_others(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """Two workers with two threads each serve four clients at once, in any distribution."""
    server = pool_of(held, base=Threaded, workers=2, settings={"threads": 2})
    with running(server):
        idle_workers(server, 2)
        with waiting_clients(server.server_address, 5) as clients:
            pids = [told.wait_for(b"entered") for _ in range(4)]
            assert {pids.count(pid) for pid in pids} == {2}
            assert told.so_far() == []
            gate.open()
            assert all(receive_all(client).startswith(b"served") for client in clients)


def test_without_a_bound_there_are_as_many_threads_as_clients(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """`threads = 0` means no bound, as in the documented mix-in."""
    server = pool_of(held, base=Threaded, workers=1, settings={"threads": 0})
    with running(server), waiting_clients(server.server_address, 80) as clients:
        for _ in range(80):
            told.wait_for(b"entered")
        gate.open()
        assert all(receive_all(client).startswith(b"served") for client in clients)


def test_threads_finish_when_the_server_ends(
    base: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """Requests in flight and clients in the backlog beyond the bound are served."""
    server = pool_of(held, base=base, workers=1, settings={"threads": 2})
    assert answers_if_stopped(server, told, gate, clients=5, entered=2) == served(5)


def test_threads_finish_when_their_worker_is_retired(
    base: Any, running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """Recycling a worker loses no request."""
    server = pool_of(held, base=base, workers=1, settings={"max_requests": 3})
    with running(server), waiting_clients(server.server_address, 6) as clients:
        pids = [told.wait_for(b"entered") for _ in range(3)]
        assert len(set(pids)) == 1
        gate.let_through(3)
        others = [told.wait_for(b"entered") for _ in range(3)]
        assert set(others).isdisjoint(pids)
        gate.open()
        assert [receive_all(client) for client in clients] == served(6)


def test_threads_finish_when_a_worker_gets_sigterm(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    server = pool_of(held, base=Threaded, workers=1)
    with running(server), waiting_clients(server.server_address, 3) as clients:
        pid = int(max(told.wait_for(b"entered") for _ in range(3)))
        os.kill(pid, signal.SIGTERM)
        gate.open()
        assert [receive_all(client) for client in clients] == served(3)
        wait_until_gone({pid})


def test_an_error_in_a_thread_is_reported_and_frees_its_place(
    base: Any, running: Any, told: Told
) -> None:
    """A request that failed no longer counts towards the bound."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        raise SystemExit if request.recv(10) == b"exit" else ValueError

    def handle_error(self: Any, request: Any, client_address: Any) -> None:
        told.say("error")

    server = pool_of(
        handler, base=base, workers=1, settings={"threads": 1}, handle_error=handle_error
    )
    hook = threading.excepthook
    threading.excepthook = lambda args: None  # the workers inherit it
    try:
        with running(server):
            for number in range(3):
                # Whether the connection is closed after an error depends on the class.
                with connect(server.server_address) as client:
                    client.sendall(b"exit" if number == 1 else b"x")
                    wait_until_served(server, number + 1)
            idle_workers(server, 1)
    finally:
        threading.excepthook = hook


def wait_until_served(server: Any, count: int) -> None:
    def all_served() -> bool:
        served: int = sum(worker.served for worker in server.prefork_status())
        return served >= count

    eventually(all_served, what=f"{count} served requests")


def test_requests_in_threads_that_the_program_starts_itself_are_counted(
    held: Handler, told: Told, gate: Gate
) -> None:
    """Some programs run process_request_thread() in their own threads, from process_request()."""
    server = pool_of(held, base=OwnQueue, workers=1)

    def check_in_flight() -> None:
        assert server.prefork_status()[0].in_flight == 3

    answers = answers_if_stopped(
        server, told, gate, clients=3, entered=3, meanwhile=check_in_flight
    )
    assert answers == served(3)


def test_daemon_threads_are_not_waited_for_at_the_end(held: Handler, told: Told) -> None:
    """As documented for `daemon_threads`, the end does not wait for them."""
    server = pool_of(held, base=Threaded, workers=1, daemon_threads=True)
    thread = start_serving(server)
    with waiting_clients(server.server_address, 1) as [client]:
        told.wait_for(b"entered")
        thread.shut_down()
        within(server.server_close)
        assert answer(client) == b""


def test_a_server_that_only_defines_process_request_thread_has_no_threads(
    running: Any, held: Handler, gate: Gate
) -> None:
    """Mix-ins and proxies may define it; the method that serves a request decides."""

    class NoThreads(PreforkTCPServer):
        def process_request_thread(self, request: Any, client_address: Any) -> None:
            raise AssertionError("there are no threads here")

    gate.open()
    with running(pool_of(held, base=NoThreads)) as server:
        for _ in range(3):
            assert ask(server.server_address, b"x") == b"served x"
        idle_workers(server, 2)
        assert states(server) == ["idle", "idle"]


def test_with_the_strategy_fork_a_request_has_a_process_and_no_thread(running: Any) -> None:
    """Each request has a process of its own, in which a thread would only add cost."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        main = threading.current_thread() is threading.main_thread()
        request.sendall(b"%d %d" % (os.getpid(), main))

    with running(pool_of(handler, base=Threaded, strategy="fork")) as server:
        answers = {ask(server.server_address) for _ in range(3)}
        assert len(answers) == 3
        assert {line.split()[1] for line in answers} == {b"1"}


def test_a_worker_serves_datagrams_in_threads(running: Any, told: Told, gate: Gate) -> None:
    """A worker serves slow datagrams concurrently."""

    class ThreadedUDP(PreforkMixIn, ThreadingMixIn, UDPServer):
        pass

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered")
        gate.wait()
        request[1].sendto(request[0], client_address)

    server = pool_of(handler, base=ThreadedUDP, workers=1, settings={"threads": 3})
    with running(server), datagram_socket(server.server_address) as client:
        for number in range(5):
            client.sendto(b"%d" % number, server.server_address)
        for _ in range(3):
            told.wait_for(b"entered")
        assert told.so_far() == []
        gate.open()
        assert {client.recv(10) for _ in range(5)} == {b"%d" % n for n in range(5)}
