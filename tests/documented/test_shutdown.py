"""`shutdown`: called in other threads, too early, too late, or in the loop itself."""

import threading
from typing import Any

import pytest

from tests.documented.kit import (
    LOOPBACK,
    Record,
    flag,
    has_ended,
    ignore,
    start_shutting_down,
    stop,
    traced,
)
from tests.support.announcements import Gate, Told
from tests.support.clients import connect, receive_all
from tests.support.deadlines import Call, within
from tests.support.polling import eventually
from tests.support.serving import start_serving


class WouldWait(Exception):
    """The program would have to wait for an event."""


class EventWithoutWaiting(threading.Event):
    """An event that raises `WouldWait` instead of waiting."""

    def wait(self, timeout: float | None = None) -> bool:
        raise WouldWait


def test_shutdown_returns_when_the_loop_has_ended(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as server:
        thread = start_serving(server)
        within(server.shutdown)
        assert has_ended(server)
        thread.wait_until_it_ended()
        assert flag(server) is False


def test_a_loop_that_has_just_been_started_can_be_shut_down_at_once(api: Any) -> None:
    for _ in range(20):
        with api.TCPServer(LOOPBACK, ignore) as server:
            loop: Call[None] = Call(lambda: server.serve_forever(0.01), "serve_forever()")
            within(server.shutdown)
            loop.result()


def test_a_shutdown_before_the_start_waits_and_then_ends_the_loop(api: Any, record: Record) -> None:
    with traced(api.TCPServer, record)(LOOPBACK, ignore) as server:
        record.clear()
        waiting = start_shutting_down(server)
        assert waiting.is_alive()
        with connect(server.server_address):
            server.serve_forever()
        waiting.result()
        assert record == []


def test_a_shutdown_after_the_end_returns_at_once_and_ends_the_next_run(
    api: Any, record: Record
) -> None:
    class Server(traced(api.TCPServer, record)):  # type: ignore[misc]
        def service_actions(self) -> None:
            super().service_actions()
            stop(self)

    with Server(LOOPBACK, ignore) as server:
        server.serve_forever(0.001)
        within(server.shutdown)
        assert flag(server) is True
        record.clear()
        server.serve_forever(0.001)
        assert record == []
        server.serve_forever(0.001)
        assert record == ["service_actions"]


@pytest.mark.parametrize("poll_interval", [7200, None])
def test_shutdown_does_not_wait_for_the_poll_interval(
    api: Any, improved: bool, record: Record, poll_interval: float | None
) -> None:
    """With the standard library's module, the loop ends at its next wake-up, possibly never."""
    with traced(api.TCPServer, record)(LOOPBACK, ignore) as server:
        thread = start_serving(server, poll_interval)
        asking = start_shutting_down(server)
        if not improved:
            connect(server.server_address).close()
        asking.result()
        thread.wait_until_it_ended()
        assert "get_request" not in record


@pytest.mark.parametrize("poll_interval", [0.5, 7200])
def test_shutdown_in_the_thread_of_the_loop_does_not_wait(
    api: Any, improved: bool, poll_interval: float
) -> None:
    """With the standard library's module, it waits for itself."""
    outcome = []

    def last_one(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(b"the last")
        server._BaseServer__is_shut_down = EventWithoutWaiting()
        try:
            server.shutdown()
            outcome.append("returned")
        except WouldWait:
            outcome.append("waited")

    with api.TCPServer(LOOPBACK, last_one) as server, connect(server.server_address) as client:
        server.serve_forever(poll_interval)
        assert receive_all(client) == b"the last"
        assert outcome == ["returned" if improved else "waited"]


def test_shutdown_from_a_handler_thread_waits_for_the_loop(api: Any, told: Told) -> None:
    def last_one(request: Any, client_address: Any, server: Any) -> None:
        server.shutdown()
        told.say("ended" if has_ended(server) else "still running")

    with api.ThreadingTCPServer(LOOPBACK, last_one) as server:
        thread = start_serving(server)
        with connect(server.server_address):
            assert told.next() == b"ended"
        thread.wait_until_it_ended()


def test_shutdown_waits_for_the_request_that_is_being_served(
    api: Any, told: Told, gate: Gate
) -> None:
    """Some programs run one handler for the whole life of a synchronous server."""

    def long_one(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered")
        gate.wait()
        told.say("served")

    def shut_down() -> None:
        server.shutdown()
        told.say("shut", "down")

    with api.TCPServer(LOOPBACK, long_one) as server:
        thread = start_serving(server)
        with connect(server.server_address):
            told.wait_for(b"entered")
            asking = Call(shut_down)
            eventually(lambda: flag(server))
            gate.open()
            assert [told.next(), told.next()] == [b"served", b"shut down"]
        asking.result()
        thread.wait_until_it_ended()


def test_a_server_can_serve_again_after_a_shutdown(api: Any, running: Any, told: Told) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("served")

    server = api.TCPServer(LOOPBACK, handler)
    thread = start_serving(server)
    thread.shut_down()
    with running(server), connect(server.server_address):
        told.wait_for(b"served")
