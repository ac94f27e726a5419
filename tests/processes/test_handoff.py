"""`handoff` with real workers: which requests the master hands to which worker."""

import logging
import os
import signal
import threading
from typing import Any

import pytest

from prefork import PreforkTCPServer, PreforkUDPServer
from prefork.master.strategies.handoff_dispatcher import MAX_IN_CHANNEL
from tests.support.announcements import Gate, Told
from tests.support.children import state_of
from tests.support.clients import ask, connect, datagram_socket, receive_all
from tests.support.deadlines import EXCHANGE, Call, stretched
from tests.support.leaks import descriptors
from tests.support.polling import eventually
from tests.support.pools import (
    Handler,
    Threaded,
    answer,
    answer_pid,
    exhausting,
    idle_workers,
    messages,
    pool_of,
    served,
    waiting_clients,
)
from tests.support.serving import start_serving
from tests.support.tls import ask_securely, wrapped


def handing(handler: Any, told: Told, **options: Any) -> Any:
    """A pool whose master announces "handed" when it has handed a request over."""
    master = os.getpid()

    def close_request(self: Any, request: Any) -> None:
        PreforkTCPServer.close_request(self, request)
        if os.getpid() == master:
            told.say("handed")

    return pool_of(handler, strategy="handoff", close_request=close_request, **options)


def stop(pid: int) -> None:
    """Stop a worker with SIGSTOP, as an overloaded machine would."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state_of(pid) == "T", what="a stopped worker")


# -- workers that end with requests in flight ------------------------------------------------------


def test_a_killed_worker_loses_only_the_requests_it_was_handed(
    running: Any, held: Handler, told: Told, gate: Gate, errors: Any
) -> None:
    """Their connections are closed at once: no other process holds them."""
    server = handing(held, told, base=Threaded, workers=1, settings={"threads": 3})
    with running(server), waiting_clients(server.server_address, 1) as [begun]:
        worker = int(told.wait_for(b"entered"))
        told.wait_for(b"handed")
        stop(worker)
        with waiting_clients(server.server_address, 5) as others:
            for _ in range(2):
                told.wait_for(b"handed")
            os.kill(worker, signal.SIGKILL)
            gate.open()
            assert [answer(client) for client in others] == [b"", b"", *served(5)[2:]]
            assert answer(begun) == b""
    assert len(errors()) == 1


def test_a_worker_killed_while_the_server_stops_does_not_delay_the_end(
    held: Handler, told: Told, gate: Gate, errors: Any
) -> None:
    """It has been handed a request that it never begins."""
    gate.open()
    server = handing(held, told, workers=1)
    thread = start_serving(server)
    [worker] = idle_workers(server, 1)
    stop(worker)
    with waiting_clients(server.server_address, 3) as clients:
        told.wait_for(b"handed")
        thread.shut_down()
        closing = Call(server.server_close)
        os.kill(worker, signal.SIGKILL)
        assert [answer(client) for client in clients] == [b"", *served(3)[1:]]
        closing.result()
    assert len(errors()) == 1


@pytest.mark.usefixtures("errors")
def test_workers_that_serve_one_request_each_lose_none(running: Any) -> None:
    """While a worker reports that it leaves, the master may be handing it the next request."""
    server = pool_of(answer_pid, strategy="handoff", settings={"max_requests": 1})
    with running(server):

        def ask_often() -> list[int]:
            return [int(ask(server.server_address)) for _ in range(50)]

        calls = [Call(ask_often) for _ in range(4)]
        pids = [pid for call in calls for pid in call.result()]
        assert max(pids.count(pid) for pid in pids) == 1
        idle_workers(server, 2)


def test_a_request_closed_by_verify_request_does_not_affect_other_requests(running: Any) -> None:
    """Idle workers used to get no request any more after that."""

    def verify_request(self: Any, request: Any, client_address: Any) -> bool:
        if request.recv(1) == b"b":
            request.close()
        return True

    hooks: dict[str, Any] = {"verify_request": verify_request, "handle_error": lambda *_: None}
    with running(pool_of(answer_pid, strategy="handoff", **hooks)) as server:
        workers = idle_workers(server, 2)
        assert ask(server.server_address, b"b") == b""
        assert {int(ask(server.server_address, b"g")) for _ in range(4)} == workers


# -- which worker gets which request ---------------------------------------------------------------


def test_no_request_waits_behind_a_slow_one(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """While one worker is busy, all new clients go to the other one."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        (held if request.recv(1) == b"h" else answer_pid)(request, client_address, server)

    with running(pool_of(handler, strategy="handoff")) as server:
        workers = idle_workers(server, 2)
        with connect(server.server_address) as slow:
            slow.sendall(b"hx")
            busy = int(told.wait_for(b"entered"))
            pids = {int(ask(server.server_address, b"x")) for _ in range(20)}
            assert pids == workers - {busy}
            gate.open()
            assert receive_all(slow) == b"served x"


def test_all_threads_of_all_workers_are_used(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    server = pool_of(held, strategy="handoff", base=Threaded, settings={"threads": 2})
    with running(server):
        idle_workers(server, 2)
        with waiting_clients(server.server_address, 5) as clients:
            pids = [told.wait_for(b"entered") for _ in range(4)]
            assert {pids.count(pid) for pid in pids} == {2}
            assert told.so_far() == []
            gate.let_through()
            told.wait_for(b"entered")
            gate.open()
            assert [receive_all(client) for client in clients] == served(5)


def test_threads_finish_their_requests_when_their_worker_reaches_its_limit(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    settings = {"threads": 2, "max_requests": 2}
    server = pool_of(held, strategy="handoff", base=Threaded, workers=1, settings=settings)
    with running(server), waiting_clients(server.server_address, 6) as clients:
        pids = [told.wait_for(b"entered") for _ in range(2)]
        gate.open()
        assert [receive_all(client) for client in clients] == served(6)
        pids += [told.wait_for(b"entered") for _ in range(4)]
        assert max(pids.count(pid) for pid in pids) <= 4


def test_as_many_clients_as_a_channel_holds_are_served_concurrently(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """None of the requests finishes meanwhile, and the worker is stopped at first."""
    many = MAX_IN_CHANNEL
    server = pool_of(held, strategy="handoff", base=Threaded, workers=1, settings={"threads": 0})
    turns = threading.Semaphore(0)
    server.service_actions = turns.release
    with running(server):
        [worker] = idle_workers(server, 1)
        stop(worker)
        with waiting_clients(server.server_address, many) as clients:
            while turns.acquire(blocking=False):
                pass
            os.kill(worker, signal.SIGCONT)
            for _ in range(many):
                told.wait_for(b"entered")
            assert turns.acquire(timeout=stretched(EXCHANGE)), "the loop has stopped turning"
            gate.open()
            assert [answer(client) for client in clients] == served(many)


# -- which process holds a connection --------------------------------------------------------------


@pytest.mark.parametrize("base", [PreforkTCPServer, Threaded])
def test_a_connection_closed_without_a_shutdown_ends_for_the_client(
    running: Any, base: Any
) -> None:
    """Without shutdown(2), the client sees the end when the last copy of the socket is closed."""
    server = pool_of(
        answer_pid,
        strategy="handoff",
        base=base,
        shutdown_request=lambda self, request: self.close_request(request),
    )
    with running(server):
        for _ in range(4):
            assert int(ask(server.server_address)) in server.active_children


def test_a_connection_that_a_handler_closes_early_ends_at_once(
    running: Any, told: Told, gate: Gate
) -> None:
    """It answers, closes, and keeps working: the client must not wait for that."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(b"accepted")
        request.close()
        told.say("closed")
        gate.wait()

    with (
        running(pool_of(handler, strategy="handoff")) as server,
        connect(server.server_address) as client,
    ):
        told.wait_for(b"closed")
        assert receive_all(client) == b"accepted"


def test_the_master_keeps_no_copy_of_connections_in_service(
    running: Any, held: Handler, told: Told
) -> None:
    """Otherwise the connections of all workers would count against its descriptor limit."""
    server = pool_of(held, strategy="handoff", base=Threaded, workers=1, settings={"threads": 0})
    with running(server):
        idle_workers(server, 1)
        before = len(descriptors())
        with waiting_clients(server.server_address, 20) as clients:
            for _ in clients:
                told.wait_for(b"entered")
            with connect(server.server_address):
                told.wait_for(b"entered")
                copies = len(descriptors()) - before - len(clients) - 1
    assert copies <= 1


def test_a_worker_out_of_descriptors_loses_one_request_and_is_replaced(
    running: Any, told: Told
) -> None:
    """The kernel then delivers the message without the descriptor."""
    with running(handing(exhausting(told), told, workers=1)) as server:
        [pid] = idle_workers(server, 1)
        assert ask(server.server_address, b"exhaust") == b"done"
        with connect(server.server_address) as client:
            assert answer(client) == b""
        assert int(ask(server.server_address, b"x")) != pid


# -- other kinds of requests -----------------------------------------------------------------------


def test_tls_connections_are_served_by_forked_workers_which_is_logged_once(
    running: Any, certificate: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The state of the TLS session is in the memory of the process that has accepted."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(request.recv(1) + b"%d" % os.getpid())

    server = wrapped(pool_of(handler, strategy="handoff"), certificate)
    with running(server):
        workers = idle_workers(server, 2)
        answers = [ask_securely(server.server_address, certificate, b"0") for _ in range(4)]
        pids = {int(text) for text in answers}
        assert len(pids) == 4
        assert pids.isdisjoint(workers)
    warnings = messages(caplog.records, logging.WARNING)
    assert sum("cannot be passed to another process" in text for text in warnings) == 1


@pytest.mark.parametrize("size", [0, 1, 8192, 65507 - 28, 65507])
def test_datagrams_of_every_length_are_handed_over(running: Any, told: Told, size: int) -> None:
    """65507 bytes is the maximum over IPv4."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        data, sock = request
        sock.sendto(data[::-1], client_address)
        told.say("served", os.getpid())

    server = pool_of(handler, strategy="handoff", base=PreforkUDPServer, max_packet_size=65536)
    data = (bytes(range(251)) * 300)[:size]
    with running(server), datagram_socket(server.server_address) as client:
        client.sendto(data, server.server_address)
        assert client.recv(65536) == data[::-1]
        assert int(told.wait_for(b"served")) in server.active_children


@pytest.mark.parametrize("hook", ["verify_request", "close_request"])
def test_signals_are_not_blocked_while_the_master_calls_a_hook_of_the_program(
    running: Any, hook: str
) -> None:
    """The master blocks signals while it hands requests over, but not around the program's code."""
    master, seen = os.getpid(), []

    def note_mask(self: Any, *request: Any) -> Any:
        if os.getpid() == master:
            seen.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return getattr(PreforkTCPServer, hook)(self, *request)

    hooks: dict[str, Any] = {hook: note_mask}
    with running(pool_of(answer_pid, strategy="handoff", **hooks)) as server:
        ask(server.server_address)
    assert seen == [set()]
