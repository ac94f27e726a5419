"""`serve_forever`: what each wake-up does, and the state that programs read during it.

The loop needs no thread here: a selector class that replaces the module's decides what each wait
returns, and a hook asks for the end.
"""

import errno
import os
import selectors
import socket
import threading
from typing import Any

import pytest

from tests.documented.kit import (
    LOOPBACK,
    Record,
    echo,
    flag,
    has_ended,
    ignore,
    raiser,
    recording_selector,
    stop,
    traced,
)
from tests.support.clients import ask, connect, receive_all
from tests.support.serving import start_serving


def stopping_after(turns: int, base: Any) -> Any:
    """Return a server class whose loop ends itself in the *turns*-th call of `service_actions`."""

    class Stopping(base):  # type: ignore[misc]
        turns_left = turns

        def service_actions(self) -> None:
            super().service_actions()
            self.turns_left -= 1
            if self.turns_left <= 0:
                stop(self)

    return Stopping


def nothing(wait: Any) -> list[Any]:
    return []


@pytest.mark.parametrize("poll_interval", [0.125, 0, 7200, None])
def test_the_selector_waits_for_exactly_the_poll_interval(
    api: Any, monkeypatch: pytest.MonkeyPatch, poll_interval: float | None
) -> None:
    waits: list[float | None] = []
    fake = recording_selector(api._ServerSelector, waits, [nothing])
    monkeypatch.setattr(api, "_ServerSelector", fake)
    with stopping_after(1, api.TCPServer)(LOOPBACK, ignore) as server:
        server.serve_forever(poll_interval)
    assert waits == [poll_interval]


def test_the_poll_interval_is_half_a_second_or_what_the_keyword_says(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []
    fake = recording_selector(api._ServerSelector, waits, [nothing, nothing])
    monkeypatch.setattr(api, "_ServerSelector", fake)
    with stopping_after(1, api.TCPServer)(LOOPBACK, ignore) as server:
        server.serve_forever()
        server.serve_forever(poll_interval=0.25)
    assert waits == [0.5, 0.25]


def test_the_server_itself_is_registered_with_the_selector_for_reading(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = []

    class Recording(api._ServerSelector):
        def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
            registered.append((fileobj, events))
            return super().register(fileobj, events, data)

    monkeypatch.setattr(api, "_ServerSelector", Recording)
    with stopping_after(1, api.TCPServer)(LOOPBACK, ignore) as server:
        server.serve_forever(0)
        assert (server, selectors.EVENT_READ) in registered


@pytest.mark.parametrize(
    "selector", [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector]
)
def test_another_selector_class_can_be_used(
    api: Any, running: Any, monkeypatch: pytest.MonkeyPatch, selector: type
) -> None:
    monkeypatch.setattr(api, "_ServerSelector", selector)
    with running(api.TCPServer(LOOPBACK, echo)) as server:
        assert ask(server.server_address, b"hello") == b"hello"


def test_a_private_event_shows_whether_the_loop_runs(api: Any) -> None:
    seen = []

    class Server(stopping_after(1, api.TCPServer)):  # type: ignore[misc]
        def service_actions(self) -> None:
            seen.append((has_ended(self), flag(self)))
            super().service_actions()

    with Server(LOOPBACK, ignore) as server:
        assert isinstance(vars(server)["_BaseServer__is_shut_down"], threading.Event)
        assert not has_ended(server)
        assert vars(server)["_BaseServer__shutdown_request"] is False
        server.serve_forever(0)
        assert has_ended(server)
        assert flag(server) is False
        server.serve_forever(0)
    assert seen == [(False, False), (False, False)]


def test_a_handler_can_stop_the_loop_with_the_private_flag(api: Any) -> None:
    def last_one(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(b"the last")
        server._BaseServer__shutdown_request = True

    with api.TCPServer(LOOPBACK, last_one) as server, connect(server.server_address) as client:
        server.serve_forever()
        assert receive_all(client) == b"the last"


def test_a_flag_that_was_set_before_the_start_ends_the_loop_at_once(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []
    monkeypatch.setattr(api, "_ServerSelector", recording_selector(api._ServerSelector, waits))
    with api.TCPServer(LOOPBACK, ignore) as server:
        stop(server)
        server.serve_forever(None)
        assert waits == []
        assert flag(server) is False
        assert has_ended(server)


def test_nothing_is_accepted_if_the_flag_is_set_during_the_wait(
    api: Any, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that had been asked to end during the wait used to take one more connection."""

    def asked_meanwhile(wait: Any) -> Any:
        ready = wait()
        stop(server)
        return ready

    fake = recording_selector(api._ServerSelector, [], [asked_meanwhile])
    monkeypatch.setattr(api, "_ServerSelector", fake)
    with traced(api.TCPServer, record)(LOOPBACK, ignore) as server:
        record.clear()
        with connect(server.server_address):
            server.serve_forever()
            assert record == []


def test_each_wake_up_serves_one_request_and_then_the_service_actions(
    api: Any, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noted(wait: Any) -> Any:
        record("select")
        return wait()

    fake = recording_selector(api._ServerSelector, [], [noted] * 4)
    monkeypatch.setattr(api, "_ServerSelector", fake)
    with stopping_after(3, traced(api.TCPServer, record))(LOOPBACK, ignore) as server:
        record.clear()
        with connect(server.server_address), connect(server.server_address):
            server.serve_forever(0)
    turns = [n for n in record if n in ("select", "_handle_request_noblock", "service_actions")]
    turn_with_a_request = ["select", "_handle_request_noblock", "service_actions"]
    assert turns == [*turn_with_a_request, *turn_with_a_request, "select", "service_actions"]


def test_service_actions_run_after_each_wake_up_in_the_thread_of_the_loop(api: Any) -> None:
    threads = []

    class Server(stopping_after(5, api.TCPServer)):  # type: ignore[misc]
        def service_actions(self) -> None:
            threads.append(threading.current_thread())
            super().service_actions()

    with Server(LOOPBACK, ignore) as server:
        server.serve_forever(0.001)
    assert threads == [threading.current_thread()] * 5


def test_an_exception_of_service_actions_ends_the_loop(api: Any) -> None:
    class Server(api.TCPServer):
        def service_actions(self) -> None:
            stop(self)
            raise SystemExit("watchdog")

    with Server(LOOPBACK, ignore) as server:
        with pytest.raises(SystemExit, match="watchdog"):
            server.serve_forever(0)
        assert has_ended(server)
        assert flag(server) is False


def test_a_keyboard_interrupt_leaves_the_loop_and_the_socket_open(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = recording_selector(api._ServerSelector, [], [raiser(KeyboardInterrupt())])
    monkeypatch.setattr(api, "_ServerSelector", fake)
    with api.TCPServer(LOOPBACK, ignore) as server:
        with pytest.raises(KeyboardInterrupt):
            server.serve_forever()
        assert has_ended(server)
        assert server.fileno() >= 0


def test_the_loop_ignores_the_timeout_attribute(api: Any, record: Record) -> None:
    with stopping_after(5, traced(api.TCPServer, record))(LOOPBACK, ignore) as server:
        server.timeout = 0
        server.socket.settimeout(0)
        server.serve_forever(0.001)
        assert "handle_timeout" not in record
        assert record.count("service_actions") == 5


def test_the_blocking_mode_of_the_listener_is_not_changed(api: Any) -> None:
    modes = []

    class Server(stopping_after(2, api.TCPServer)):  # type: ignore[misc]
        def service_actions(self) -> None:
            modes.append((self.socket.gettimeout(), os.get_blocking(self.fileno())))
            super().service_actions()

    with Server(LOOPBACK, ignore) as server, connect(server.server_address):
        server.serve_forever(0.001)
        server.socket.settimeout(3)
        server.turns_left = 1
        server.serve_forever(0.001)
    assert modes == [(None, True), (None, True), (3, False)]


def test_the_socket_is_looked_up_in_each_run(api: Any) -> None:
    with stopping_after(1, api.TCPServer)(LOOPBACK, echo) as server:
        server.serve_forever(0)
        server.socket.close()
        server.socket = socket.create_server(LOOPBACK)
        assert server.fileno() == server.socket.fileno()
        with connect(server.socket.getsockname()) as client:
            client.sendall(b"to the new one")
            server.serve_forever(None)
            assert receive_all(client) == b"to the new one"
        server.server_close()
        assert server.fileno() == -1


def test_a_server_that_accepts_nothing_leaves_the_connection_waiting(api: Any) -> None:
    """Full servers do this: they override the one method that is called for a ready listener."""

    class Server(api.TCPServer):
        refusals = 3

        def _handle_request_noblock(self) -> None:
            if self.refusals:
                self.refusals -= 1
            else:
                super()._handle_request_noblock()
                stop(self)

    with Server(LOOPBACK, echo) as server, connect(server.server_address) as client:
        client.sendall(b"patience")
        server.serve_forever()
        assert server.refusals == 0
        assert receive_all(client) == b"patience"


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_of_get_request_that_is_not_an_oserror_ends_the_loop(
    api: Any, kind: type[BaseException]
) -> None:
    class Server(api.TCPServer):
        get_request = raiser(kind())

    with Server(LOOPBACK, ignore) as server, connect(server.server_address):
        with pytest.raises(kind):
            server.serve_forever()
        assert has_ended(server)


def test_an_oserror_of_get_request_does_not_end_the_loop(api: Any) -> None:
    class Server(api.TCPServer):
        errors = 3

        def get_request(self) -> Any:
            if self.errors:
                self.errors -= 1
                raise ConnectionAbortedError
            stop(self)
            return super().get_request()

    with Server(LOOPBACK, echo) as server, connect(server.server_address) as client:
        client.sendall(b"at last")
        server.serve_forever()
        assert receive_all(client) == b"at last"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_free_descriptors_the_loop_does_not_spin(
    api: Any, improved: bool, number: int
) -> None:
    """With the standard library's module, it calls accept tens of thousands of times a second."""
    turns = 30

    class Server(api.TCPServer):
        turns = 0
        calls = 0

        def get_request(self) -> Any:
            if self.turns < turns:
                self.calls += 1
                raise OSError(number, "exhausted")
            stop(self)
            return super().get_request()

        def service_actions(self) -> None:
            super().service_actions()
            self.turns += 1

    with Server(LOOPBACK, echo) as server, connect(server.server_address) as client:
        client.sendall(b"at last")
        server.serve_forever(0.001)
        if improved:
            assert 1 <= server.calls <= turns / 2
        else:
            assert server.calls == turns
        assert receive_all(client) == b"at last"


def test_a_listener_that_is_closed_meanwhile_does_not_make_the_loop_spin(
    api: Any, improved: bool
) -> None:
    """With the standard library's module, it tries the closed descriptor without a pause."""

    class Server(stopping_after(6, api.TCPServer)):  # type: ignore[misc]
        calls = 0

        def service_actions(self) -> None:
            self.server_close()
            super().service_actions()

        def get_request(self) -> Any:
            self.calls += 1
            return super().get_request()

    with Server(LOOPBACK, ignore) as server:
        server.serve_forever(0.001)
    # The descriptor is always "ready" from the second pass on.
    assert server.calls == (0 if improved else 5)


def test_a_loop_whose_listener_was_closed_can_still_be_shut_down(api: Any) -> None:
    server = api.TCPServer(LOOPBACK, ignore)
    thread = start_serving(server)
    server.server_close()
    thread.shut_down()
    assert thread.raised is None


def test_a_loop_with_a_closed_listener_does_not_start(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as server:
        server.server_close()
        with pytest.raises(ValueError, match="-1"):
            server.serve_forever()
        assert has_ended(server)
