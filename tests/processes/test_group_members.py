"""Members of a group: their hooks are called, and `shutdown()` of a member stops the group."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefork import (
    ForkingTCPServer,
    PreforkGroup,
    PreforkTCPServer,
    SettingsError,
    TCPServer,
    ThreadingMixIn,
    ThreadingTCPServer,
)
from tests.support.announcements import Gate, Told
from tests.support.deadlines import EXCHANGE, stretched, within
from tests.support.groups import Client, ask, clients, group_of, kinds_for, member
from tests.support.polling import eventually
from tests.support.pools import echo, idle_workers, refuses
from tests.support.programs import program
from tests.support.serving import start_serving


def echo_back(data: bytes) -> bytes:
    return data


def two(strategy: str, folder: Path, respond: Callable[[bytes], bytes] = echo_back) -> list[Any]:
    """Two members of different kinds."""
    return [member(kind, folder, respond) for kind in kinds_for(strategy)[:2]]


class SetsTheFlag(TCPServer):
    """A server that stops by setting the private flag, as in some programs."""

    def shutdown(self) -> None:
        self._BaseServer__shutdown_request = True


@pytest.mark.parametrize("base", [TCPServer, PreforkTCPServer, ThreadingTCPServer, SetsTheFlag])
def test_shutdown_of_a_member_by_its_handler_stops_the_group(
    strategy: str, base: Any, short_path: Path
) -> None:
    def stop(request: Any, client_address: Any, server: Any) -> None:
        server.shutdown()
        request.sendall(b"stopping " + request.recv(10))

    stopping = base(("127.0.0.1", 0), stop)
    group = group_of(*two(strategy, short_path), stopping, strategy=strategy)
    thread = start_serving(group)
    assert ask(stopping, b"now") == b"stopping now"
    thread.wait_until_it_ended()
    within(group.server_close)


@pytest.mark.parametrize("base", [TCPServer, PreforkTCPServer])
def test_shutdown_of_any_member_stops_the_group(strategy: str, base: Any, short_path: Path) -> None:
    last = base(("127.0.0.1", 0), echo)
    group = group_of(*two(strategy, short_path), last, strategy=strategy)
    thread = start_serving(group, poll_interval=None)  # so only a wake-up ends the loop
    ask(last)
    within(last.shutdown)
    thread.wait_until_it_ended()
    within(group.server_close)


def test_a_request_goes_through_the_hooks_of_its_member(
    strategy: str, short_path: Path, running: Any, told: Told
) -> None:
    def hook(name: str) -> Callable[..., Any]:
        def announce_and_call(server: Any, *args: Any) -> Any:
            told.say(name)
            return getattr(super(Hooked, server), name)(*args)

        return announce_and_call

    def handler(request: Any, client_address: Any, server: Any) -> None:
        assert server is hooked
        request.sendall(request.recv(10))

    names = ["get_request", "verify_request", "process_request", "finish_request"]
    names += ["shutdown_request", "close_request"]
    Hooked: Any = type("Hooked", (TCPServer,), {name: hook(name) for name in names})
    hooked = Hooked(("127.0.0.1", 0), handler)
    group = group_of(*two(strategy, short_path), hooked, strategy=strategy, workers=1)
    with running(group):
        assert ask(hooked, b"hello") == b"hello"
        group.shutdown()
        group.server_close()
    seen = [line.decode() for line in told.so_far()]
    assert [name for name in seen if name != "close_request"] == names[:-1]
    assert "close_request" in seen


def test_a_member_refuses_its_own_requests_only(
    strategy: str, short_path: Path, running: Any
) -> None:
    class Closed(TCPServer):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            return False

    closed = Closed(("127.0.0.1", 0), echo)
    group = group_of(*two(strategy, short_path), closed, strategy=strategy)
    with running(group):
        assert Client(closed, b"").answer() == b""
        for server in group.members[:2]:
            assert ask(server, b"hello") == b"hello"


def test_an_error_of_a_handler_goes_to_its_member_and_the_worker_keeps_serving(
    strategy: str, short_path: Path, running: Any, told: Told
) -> None:
    class Failing(TCPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            told.say("error", os.getpid())

    failing = Failing(("127.0.0.1", 0), None)  # type: ignore[arg-type]
    group = group_of(*two(strategy, short_path), failing, strategy=strategy, workers=1)
    with running(group):
        for _ in range(2):
            assert ask(failing, b"") == b""
            assert ask(group.members[0], b"hello") == b"hello"
        first, second = (told.wait_for(b"error") for _ in range(2))
    assert (first == second) is (strategy != "fork")


def test_worker_hooks_and_service_actions_of_members_are_called(
    strategy: str, short_path: Path, told: Told
) -> None:
    class Announcing(PreforkTCPServer):
        def worker_started(self) -> None:
            told.say("started")

        def worker_leaving(self) -> None:
            told.say("leaving")

        def service_actions(self) -> None:
            turns.release()

    turns = threading.Semaphore(0)
    server = Announcing(("127.0.0.1", 0), echo)
    group = group_of(*two(strategy, short_path), server, strategy=strategy, workers=1)
    thread = start_serving(group)
    assert ask(server, b"hello") == b"hello"
    told.wait_for(b"started")
    assert turns.acquire(timeout=stretched(EXCHANGE))
    thread.shut_down()
    within(group.server_close)
    told.wait_for(b"leaving")


class Threaded(ThreadingMixIn, TCPServer):
    request_queue_size = 100


def test_members_with_threads_and_members_without_share_the_workers(
    strategy: str, short_path: Path, running: Any, told: Told, gate: Gate
) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered", os.getpid(), threading.current_thread() is threading.main_thread())
        gate.wait()
        request.sendall(b"served " + request.recv(10))

    threaded = Threaded(("127.0.0.1", 0), handler)
    group = group_of(threaded, *two(strategy, short_path), strategy=strategy, workers=1)
    at_a_time = 1 if strategy == "fork" else 3
    with running(group), clients(3, threaded) as waiting:
        seen = {told.wait_for(b"entered") for _ in range(at_a_time)}
        assert len(seen) == 1
        if strategy != "fork":
            assert seen.pop().endswith(b"False")
            for server in group.members[1:]:
                assert ask(server, b"hello") == b"hello"
        gate.open()
        assert [client.answer() for client in waiting] == [b"served %d" % n for n in range(3)]
        for server in group.members[1:]:
            assert ask(server, b"hello") == b"hello"


def test_threads_of_members_finish_before_their_worker_leaves(
    strategy: str, short_path: Path, told: Told, gate: Gate
) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered")
        gate.wait()
        request.sendall(b"served")

    threaded = Threaded(("127.0.0.1", 0), handler)
    group = group_of(*two(strategy, short_path), threaded, strategy=strategy, workers=1)
    thread = start_serving(group)
    with clients(2, threaded) as waiting:
        told.wait_for(b"entered")
        thread.shut_down()
        gate.open()
        within(group.server_close)
        assert [client.answer() for client in waiting] == [b"served"] * 2


def test_handle_request_serves_a_request_to_any_member(strategy: str, short_path: Path) -> None:
    group = group_of(*two(strategy, short_path), strategy=strategy)
    with group:
        for server in group.members:
            with clients(1, server) as (client,):
                within(group.handle_request)
                assert client.answer() == b"0"


def test_handle_timeout_of_members_is_called_when_no_request_comes(short_path: Path) -> None:
    class Patient(TCPServer):
        def handle_timeout(self) -> None:
            seen.append(self)

    seen: list[Any] = []
    patient = Patient(("127.0.0.1", 0), echo)
    with group_of(patient, *two("accept", short_path), timeout=0.01) as group:
        within(group.handle_request)
        patient.socket.settimeout(0.01)
        group.timeout = None
        within(group.handle_request)
    assert seen == [patient, patient]


def test_members_are_closed_in_order_even_if_one_fails(short_path: Path) -> None:
    class Noted(TCPServer):
        def server_close(self) -> None:
            super().server_close()
            closed.append(self)
            if self is servers[0]:
                raise RuntimeError("a hook of the program")

    closed: list[Any] = []
    servers = [Noted(("127.0.0.1", 0), echo) for _ in range(3)]
    group = group_of(*servers)
    with pytest.raises(RuntimeError, match="of the program"):
        group.server_close()
    assert closed == servers
    assert group.fileno() == -1


def test_other_members_keep_serving_when_a_member_closes(
    strategy: str, short_path: Path, running: Any
) -> None:
    """Workers that hold its listener keep serving it; those that are forked later do not."""
    group = group_of(*two(strategy, short_path), strategy=strategy, workers=1)
    first, second = group.members
    with running(group):
        ask(first)
        address = first.server_address
        first.server_close()
        group.max_children = 2
        for _ in range(10):
            assert ask(second, b"hello") == b"hello"
        for status in group.prefork_status():
            os.kill(status.pid, signal.SIGTERM)
        eventually(lambda: refuses(address), what="the end of the listener")
        assert ask(second, b"hello") == b"hello"


def test_invalid_members_are_refused_with_a_reason(short_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one server"):
        PreforkGroup()
    with (
        ForkingTCPServer(("127.0.0.1", 0), echo) as forking,
        pytest.raises(TypeError, match="forks a process for each request"),
    ):
        PreforkGroup(forking)
    with (
        group_of(*two("accept", short_path)) as group,
        pytest.raises(TypeError, match="itself a group"),
    ):
        PreforkGroup(group)


def test_reuseport_is_refused_when_a_member_is_a_unix_socket(short_path: Path) -> None:
    with group_of(*two("reuseport", short_path), member("unix", short_path, echo_back)) as group:
        group.prefork_settings = type(group.prefork_settings)(strategy="reuseport")
        with pytest.raises(SettingsError, match="'reuseport' needs a TCP or UDP port"):
            group.serve_forever()


def test_reuseport_starts_although_a_client_has_connected_before(
    short_path: Path, running: Any
) -> None:
    """A client's connection holds the port too, so the construction must set SO_REUSEPORT."""
    group = group_of(*two("reuseport", short_path), strategy="reuseport", workers=3)
    with clients(1, group.members[0]) as (client,), running(group):
        assert client.answer() == b"0"
        workers = idle_workers(group, 3)
        assert len(workers) == 3


LIBRARY = """
import http.server, socketserver, threading
import prefork

assert socketserver.__file__ != prefork.socketserver.__file__

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a page")
        self.server.shutdown()

    def log_message(self, *args): pass

class Threads(socketserver.ThreadingMixIn, socketserver.TCPServer): pass

try:
    prefork.PreforkGroup(socketserver.ForkingTCPServer(("127.0.0.1", 0), Page))
except TypeError as error:
    print(error)
web = http.server.HTTPServer(("127.0.0.1", 0), Page)
other = Threads(("127.0.0.1", 0), Page)
with prefork.PreforkGroup(web, other) as group:
    print("serving on", web.server_port)
    group.serve_forever(None)
    print("ended")
"""


def test_servers_of_the_standard_library_can_be_members(elsewhere: Path) -> None:
    with program(LIBRARY, elsewhere) as running:
        assert "forks a process for each request" in running.line()
        address = running.address()

        class Web:
            server_address = address
            address_family, socket_type = 2, 1

        assert ask(Web, b"GET / HTTP/1.0\r\n\r\n").endswith(b"a page")
        assert running.line() == "ended"
        assert running.ends() == 0
