"""The order in which the hooks are called, and where exceptions propagate to."""

import io
import os
import threading
from functools import partial
from typing import Any
from unittest import mock

import pytest

from tests.documented.kit import (
    ACCEPTED,
    ENDED,
    LOOPBACK,
    SERVED,
    TAKEN,
    Record,
    echo,
    has_ended,
    raiser,
    serve_one,
    take_one,
    traced,
    traced_handler,
)
from tests.support.announcements import Told
from tests.support.children import peek_exit_code
from tests.support.clients import connect

NOT_ORDINARY = [SystemExit, KeyboardInterrupt, GeneratorExit]


class ByThread:
    """Records names separately for the main thread (the loop's) and for all others."""

    def __init__(self) -> None:
        self.loop: list[str] = []
        self.thread: list[str] = []

    def __call__(self, name: str) -> None:
        in_loop = threading.current_thread() is threading.main_thread()
        (self.loop if in_loop else self.thread).append(name)


@pytest.fixture
def by_thread() -> ByThread:
    return ByThread()


def served_by(api: Any, record: Record, handler: Any, **overrides: Any) -> list[str]:
    """Return the calls of one request to a synchronous server; its exceptions propagate."""
    overrides.setdefault("handle_error", lambda *_: None)
    with traced(api.TCPServer, record, **overrides)(LOOPBACK, handler) as server:
        record.clear()
        try:
            serve_one(server)
        finally:
            calls = list(record)
            record.clear()
            record += calls
    return calls


def test_the_calls_of_a_successful_request(api: Any, record: Record) -> None:
    handler = traced_handler(api.BaseRequestHandler, record)
    assert served_by(api, record, handler) == [*TAKEN, *SERVED, *ENDED]


def test_an_error_of_the_handler_is_reported_before_the_request_is_closed(
    api: Any, record: Record
) -> None:
    handler = traced_handler(api.BaseRequestHandler, record, handle=ValueError())
    assert served_by(api, record, handler) == [*TAKEN, *SERVED, "handle_error", *ENDED]


@pytest.mark.parametrize("kind", NOT_ORDINARY)
def test_a_base_exception_propagates_without_a_report(
    api: Any, record: Record, kind: type[BaseException]
) -> None:
    error = kind()
    handler = traced_handler(api.BaseRequestHandler, record, handle=error)
    with pytest.raises(kind) as caught:
        served_by(api, record, handler)
    assert caught.value is error
    assert record[: len(TAKEN + SERVED + ENDED)] == [*TAKEN, *SERVED, *ENDED]
    assert "handle_error" not in record


def test_a_base_exception_ends_the_loop(api: Any) -> None:
    with api.TCPServer(LOOPBACK, raiser(SystemExit(5))) as server, connect(server.server_address):
        with pytest.raises(SystemExit):
            server.serve_forever()
        assert has_ended(server)


@pytest.mark.parametrize("refusal", [False, None, 0, "", []])
def test_a_refused_request_is_only_closed(api: Any, record: Record, refusal: object) -> None:
    handler = traced_handler(api.BaseRequestHandler, record)
    calls = served_by(api, record, handler, verify_request=lambda *_: refusal)
    assert calls == [*ACCEPTED, *ENDED]


@pytest.mark.parametrize("consent", [True, 1, "yes", [0]])
def test_any_true_value_accepts_the_request(api: Any, record: Record, consent: object) -> None:
    handler = traced_handler(api.BaseRequestHandler, record)
    calls = served_by(api, record, handler, verify_request=lambda *_: consent)
    assert calls == [*TAKEN, *SERVED, *ENDED]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_of_verify_request_propagates(
    api: Any, improved: bool, record: Record, kind: type[BaseException]
) -> None:
    """The request used to be left open."""
    error = kind()
    with pytest.raises(kind) as caught:
        served_by(api, record, echo, verify_request=raiser(error))
    assert caught.value is error
    assert record.without("server_close") == [*ACCEPTED, *(ENDED if improved else [])]


def test_an_exception_of_verify_request_ends_the_loop(api: Any) -> None:
    requests = []

    class Server(api.TCPServer):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            requests.append(request)
            raise ValueError("no")

    with Server(LOOPBACK, echo) as server, connect(server.server_address):
        with pytest.raises(ValueError, match="no"):
            server.serve_forever()
        assert has_ended(server)
        requests[0].close()


def test_an_exception_of_handle_error_propagates(api: Any, improved: bool, record: Record) -> None:
    """The request used to be left open."""

    def reraise(*_: Any) -> None:
        raise  # overrides rely on being called within an `except` block

    error = ValueError("no")
    handler = traced_handler(api.BaseRequestHandler, record, handle=error)
    with pytest.raises(ValueError, match="no") as caught:
        served_by(api, record, handler, handle_error=reraise)
    assert caught.value is error
    assert record.without("server_close") == [
        *TAKEN,
        *SERVED,
        "handle_error",
        *(ENDED if improved else []),
    ]


def test_after_a_failed_setup_neither_handle_nor_finish_is_called(api: Any, record: Record) -> None:
    handler = traced_handler(api.BaseRequestHandler, record, setup=ValueError())
    calls = served_by(api, record, handler)
    assert calls == [*TAKEN, "finish_request", "setup", "handle_error", *ENDED]


def test_an_error_of_finish_replaces_that_of_handle(api: Any, record: Record) -> None:
    errors = {"handle": ValueError("first"), "finish": KeyError("second")}
    handler = traced_handler(api.BaseRequestHandler, record, **errors)
    with pytest.raises(KeyError) as caught:
        handler(None, None, None)
    assert record == ["setup", "handle", "finish"]
    assert caught.value.__context__ is errors["handle"]


def test_the_thread_serves_after_process_request(api: Any, by_thread: ByThread) -> None:
    handler = traced_handler(api.BaseRequestHandler, by_thread)
    with traced(api.ThreadingTCPServer, by_thread)(LOOPBACK, handler) as server:
        by_thread.loop.clear()
        serve_one(server)
    assert by_thread.loop == [*TAKEN, "server_close"]
    assert by_thread.thread == ["process_request_thread", *SERVED, *ENDED]


def test_an_error_in_a_thread_is_reported_there(api: Any, by_thread: ByThread) -> None:
    handler = traced_handler(api.BaseRequestHandler, by_thread, handle=ValueError())
    server_class = traced(api.ThreadingTCPServer, by_thread, handle_error=lambda *_: None)
    with server_class(LOOPBACK, handler) as server:
        serve_one(server)
    assert by_thread.thread == ["process_request_thread", *SERVED, "handle_error", *ENDED]
    assert "handle_error" not in by_thread.loop


@pytest.mark.parametrize("kind", NOT_ORDINARY)
def test_a_base_exception_ends_a_thread_after_its_request_is_closed(
    api: Any, by_thread: ByThread, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    hooked = []
    monkeypatch.setattr(threading, "excepthook", lambda args: hooked.append(args.exc_type))
    handler = traced_handler(api.BaseRequestHandler, by_thread, handle=kind())
    with traced(api.ThreadingTCPServer, by_thread)(LOOPBACK, handler) as server:
        serve_one(server)
    assert by_thread.thread == ["process_request_thread", *SERVED, *ENDED]
    assert hooked == [kind]


@pytest.mark.parametrize(
    ("kind", "owner", "name", "error"),
    [
        ("ThreadingTCPServer", threading.Thread, "start", RuntimeError("can't start")),
        ("ForkingTCPServer", os, "fork", BlockingIOError("no more processes")),
    ],
)
def test_when_no_thread_or_child_can_be_started_the_server_reports_and_continues(
    api: Any,
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    owner: Any,
    name: str,
    error: Exception,
) -> None:
    server_class = traced(getattr(api, kind), record, handle_error=lambda *_: None)
    with server_class(LOOPBACK, echo) as server:
        record.clear()
        with monkeypatch.context() as patch, connect(server.server_address):
            patch.setattr(owner, name, raiser(error))
            take_one(server)
        assert record == [*TAKEN, "handle_error", *ENDED]
        assert getattr(server, "active_children", None) is None
        assert serve_one(server, b"hello") == b"hello"


def calls_by_process(told: Told) -> tuple[list[str], list[str]]:
    """Return the calls in this process and those in others, each in order."""
    here, elsewhere = [], []
    for line in told.so_far():
        name, pid = line.decode().split()
        (here if int(pid) == os.getpid() else elsewhere).append(name)
    return here, elsewhere


@pytest.mark.parametrize("kind", [None, ValueError, SystemExit, KeyboardInterrupt])
def test_the_child_serves_within_process_request(
    api: Any, told: Told, kind: type[BaseException] | None
) -> None:
    def say(name: str) -> None:
        told.say(name, os.getpid())

    raising = {} if kind is None else {"handle": kind()}
    handler = traced_handler(api.BaseRequestHandler, say, **raising)
    reporting = ["handle_error"] if kind is ValueError else []
    server_class = traced(api.ForkingTCPServer, say, handle_error=lambda *_: None)
    with server_class(LOOPBACK, handler) as server:
        told.so_far()
        serve_one(server)
        (pid,) = server.active_children
        peek_exit_code(pid)
        parent, child = calls_by_process(told)
    # The parent only closes its copy: the child shuts the connection down.
    assert parent == [*TAKEN, "close_request"]
    assert child == [*SERVED, *reporting, *ENDED]


@pytest.mark.parametrize("how", ["function", "partial", "mock"])
def test_anything_callable_can_be_the_handler(api: Any, how: str) -> None:
    calls = []

    def remember(*args: Any, **kwargs: Any) -> str:
        calls.append((args, kwargs))
        return "ignored"

    handler: Any = {
        "function": remember,
        "partial": partial(remember, "more"),
        "mock": mock.Mock(side_effect=remember),
    }[how]
    with api.TCPServer(LOOPBACK, handler) as server:
        serve_one(server)
        [(args, kwargs)] = calls
        assert args[-1] is server
        assert args[-2][0] == "127.0.0.1"
        assert args[-3].fileno() == -1
        assert len(args) == (4 if how == "partial" else 3)
        assert kwargs == {}


def test_the_handler_is_looked_up_for_each_request(api: Any) -> None:
    with api.TCPServer(LOOPBACK, None) as server:
        server.RequestHandlerClass = echo
        assert serve_one(server, b"hello") == b"hello"


def test_a_request_can_be_any_object(api: Any, record: Record) -> None:
    """The base server has no socket; a request is opaque to it."""
    opaque = ("a tuple", 1)

    class Server(api.BaseServer):
        def __init__(self, handler: Any) -> None:
            api.BaseServer.__init__(self, "nowhere", handler)

        def get_request(self) -> Any:
            return opaque, "client"

        def close_request(self, request: Any) -> None:
            assert request is opaque
            record("close_request")

    def handler(request: Any, client_address: Any, server: Any) -> None:
        record(f"{request} from {client_address}")

    with Server(handler) as server:
        server._handle_request_noblock()
        server.RequestHandlerClass = raiser(ValueError("no"))
        with mock.patch("sys.stderr", io.StringIO()):
            server._handle_request_noblock()
    assert record == [f"{opaque} from client", "close_request", "close_request"]
