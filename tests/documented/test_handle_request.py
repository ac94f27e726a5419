"""`handle_request`: one request, or a time-out."""

import select
import socket
from typing import Any

import pytest

from tests.documented.kit import (
    LOOPBACK,
    Record,
    echo,
    flag,
    ignore,
    raiser,
    recording_selector,
    serve_one,
    stop,
    traced,
)
from tests.support.clients import connect, receive_all


def timing_out(api: Any, of_the_server: float | None = None) -> Any:
    """Return a server class with this time-out, whose `handle_timeout` returns a value."""

    class TimingOut(api.TCPServer):
        timeout = of_the_server

        def handle_timeout(self) -> str:
            return "timed out"

    return TimingOut


@pytest.fixture
def waits(api: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The time-outs of all waits; the first wait ends at once, whatever its time-out."""
    recorded: list[Any] = []
    fake = recording_selector(api._ServerSelector, recorded, [lambda wait: []])
    monkeypatch.setattr(api, "_ServerSelector", fake)
    return recorded


@pytest.mark.parametrize(
    ("of_the_server", "of_the_socket"),
    [(0.25, None), (None, 0.25), (5, 0.25), (0.25, 5), (0.25, 0.25)],
)
def test_it_waits_for_the_shorter_of_both_timeouts(
    api: Any, waits: list[Any], of_the_server: float | None, of_the_socket: float | None
) -> None:
    with timing_out(api, of_the_server)(LOOPBACK, ignore) as server:
        server.socket.settimeout(of_the_socket)
        assert server.handle_request() == "timed out"
    assert waits[0] == 0.25
    # After an early wake-up it waits for the time that is left.
    assert len(waits) > 1
    assert all(0 <= wait < 0.25 for wait in waits[1:])


@pytest.mark.parametrize(
    ("of_the_server", "of_the_socket"), [(0, None), (-1, None), (None, 0), (0, 5), (5, 0)]
)
def test_with_a_timeout_of_zero_it_returns_at_once(
    api: Any, of_the_server: float | None, of_the_socket: float | None
) -> None:
    with timing_out(api, of_the_server)(LOOPBACK, ignore) as server:
        server.socket.settimeout(of_the_socket)
        assert server.handle_request() == "timed out"


def test_with_a_timeout_of_zero_it_serves_a_waiting_request(api: Any) -> None:
    with api.TCPServer(LOOPBACK, echo) as server:
        server.timeout = 0
        assert serve_one(server, b"in time") == b"in time"


def test_without_any_timeout_it_waits_without_limit(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[Any] = []
    monkeypatch.setattr(api, "_ServerSelector", recording_selector(api._ServerSelector, waits))
    with api.TCPServer(LOOPBACK, ignore) as server, connect(server.server_address):
        server.handle_request()
    assert waits == [None]


def test_timeouts_are_read_at_each_call(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[Any] = []
    monkeypatch.setattr(api, "_ServerSelector", recording_selector(api._ServerSelector, waits))
    with api.TCPServer(LOOPBACK, ignore) as server:
        for timeout in (11, 7):
            server.timeout = timeout
            with connect(server.server_address):
                server.handle_request()
    assert waits == [11, 7]


def test_the_default_timeout_of_sockets_counts(api: Any, default_timeout_restored: None) -> None:
    inherited = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        inherited.append(request.gettimeout())

    socket.setdefaulttimeout(0.02)
    with timing_out(api)(LOOPBACK, handler) as server:
        assert server.handle_request() == "timed out"
        serve_one(server)
        assert inherited == [0.02]


def test_a_timeout_of_the_listener_does_not_reach_the_connection(api: Any) -> None:
    inherited = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        inherited.append(request.gettimeout())

    with api.TCPServer(LOOPBACK, handler) as server:
        server.socket.settimeout(5)
        serve_one(server)
    assert inherited == [None]


def test_it_returns_none_after_serving(api: Any) -> None:
    with api.TCPServer(LOOPBACK, echo) as server, connect(server.server_address) as client:
        client.sendall(b"hello")
        assert server.handle_request() is None
        assert receive_all(client) == b"hello"


def test_service_actions_and_the_stop_flag_are_for_the_loop_only(api: Any, record: Record) -> None:
    with traced(api.TCPServer, record)(LOOPBACK, echo) as server:
        stop(server)
        assert serve_one(server, b"hello") == b"hello"
        assert flag(server) is True
        server.timeout = 0
        server.handle_request()
    assert "service_actions" not in record
    assert record.count("handle_timeout") == 1


def test_each_call_has_a_selector_of_its_own_and_closes_it(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    selectors = []

    class Recording(api._ServerSelector):
        def __init__(self) -> None:
            super().__init__()
            selectors.append(self)

    monkeypatch.setattr(api, "_ServerSelector", Recording)
    with api.TCPServer(LOOPBACK, ignore) as server:
        server.timeout = 0
        server.handle_request()
        server.handle_request()
    assert len(selectors) == 2
    assert [selector.get_map() for selector in selectors] == [None, None]


@pytest.mark.parametrize("kind", [OSError, TimeoutError, ConnectionAbortedError])
def test_an_oserror_of_get_request_drops_the_request_silently(
    api: Any, record: Record, kind: type[OSError]
) -> None:
    server_class = traced(api.TCPServer, record, get_request=raiser(kind()))
    with server_class(LOOPBACK, ignore) as server, connect(server.server_address):
        record.clear()
        assert server.handle_request() is None
        assert record == ["_handle_request_noblock", "get_request"]


def test_a_failing_tls_handshake_is_such_an_oserror(api: Any, record: Record) -> None:
    ssl = pytest.importorskip("ssl")
    server_class = traced(api.TCPServer, record, get_request=raiser(ssl.SSLError("handshake")))
    with server_class(LOOPBACK, ignore) as server, connect(server.server_address):
        server.handle_request()
    assert "handle_error" not in record


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_other_errors_of_get_request_propagate(api: Any, kind: type[BaseException]) -> None:
    error = kind()
    server_class = traced(api.TCPServer, lambda name: None, get_request=raiser(error))
    with server_class(LOOPBACK, ignore) as server, connect(server.server_address):
        with pytest.raises(kind) as caught:
            server.handle_request()
        assert caught.value is error


def test_after_the_close_it_raises(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as server:
        server.server_close()
        with pytest.raises(ValueError, match="-1"):
            server.handle_request()


def test_the_loop_may_belong_to_the_program(api: Any) -> None:
    """Programs do this that wait for several descriptors themselves."""
    with api.TCPServer(LOOPBACK, echo) as server, connect(server.server_address) as client:
        client.sendall(b"hello")
        ready, _, _ = select.select([server], [], [], 5)
        assert ready == [server]
        server.handle_request()
        assert receive_all(client) == b"hello"


def test_the_program_may_call_the_private_step(api: Any) -> None:
    with api.TCPServer(LOOPBACK, echo) as server, connect(server.server_address) as client:
        client.sendall(b"hello")
        server._handle_request_noblock()
        assert receive_all(client) == b"hello"
