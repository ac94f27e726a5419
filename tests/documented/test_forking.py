"""`ForkingMixIn`: a process for each request, what it inherits, and how it exits."""

import atexit
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.documented.kit import (
    LOOPBACK,
    address_for,
    bound_client,
    echo,
    ignore,
    mixed,
    raiser,
    recording_selector,
    serve_one,
    stop,
    take_and_leave,
    take_one,
)
from tests.support.announcements import Gate, Told
from tests.support.children import peek_exit_code
from tests.support.clients import connect, receive_all


def status_after(server_class: Any, handler: Any) -> int:
    """The exit code of the child that serves one request."""
    with server_class(LOOPBACK, handler) as server:
        serve_one(server)
        [pid] = server.active_children
        return peek_exit_code(pid)


def test_each_request_is_served_in_its_own_process(api: Any) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(b"%d %d" % (os.getpid(), os.getppid()))

    with api.ForkingTCPServer(LOOPBACK, handler) as server:
        answers = [serve_one(server).split() for _ in range(2)]
    assert {int(parent) for _, parent in answers} == {os.getpid()}
    assert len({pid for pid, _ in answers}) == 2


def test_the_child_sees_what_the_parent_did_just_before_the_fork(api: Any) -> None:
    """Programs count requests in the parent and use the number in the child."""

    class Server(api.ForkingTCPServer):
        handler_id = 0

        def process_request(self, request: Any, client_address: Any) -> None:
            self.handler_id += 1
            api.ForkingMixIn.process_request(self, request, client_address)

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(str(server.handler_id).encode())

    with Server(LOOPBACK, handler) as server:
        assert [serve_one(server) for _ in range(3)] == [b"1", b"2", b"3"]


def test_changes_in_a_child_do_not_reach_the_next_one(api: Any) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(b"%d %s" % (len(os.environ) > 0, os.getcwd().encode()))
        os.environ.clear()
        os.chdir("/")

    here = os.getcwd().encode()
    with api.ForkingTCPServer(LOOPBACK, handler) as server:
        assert [serve_one(server), serve_one(server)] == [b"1 " + here] * 2
    assert os.getcwd().encode() == here


def test_a_child_that_served_exits_with_zero(api: Any) -> None:
    assert status_after(api.ForkingTCPServer, ignore) == 0


@pytest.mark.parametrize(
    "error", [ValueError(), SystemExit(), SystemExit(0), SystemExit(5), KeyboardInterrupt()]
)
def test_a_child_whose_handler_raised_exits_with_one(
    api: Any, capfd: pytest.CaptureFixture[str], error: BaseException
) -> None:
    assert status_after(api.ForkingTCPServer, raiser(error)) == 1
    report = capfd.readouterr().err
    if isinstance(error, Exception):
        assert "processing of request from" in report
        assert report.count("ValueError") >= 1
    else:
        assert report == ""


def test_an_error_in_handle_error_is_lost(api: Any, capfd: pytest.CaptureFixture[str]) -> None:
    class Server(api.ForkingTCPServer):
        handle_error = raiser(KeyError("lost"))

    assert status_after(Server, raiser(ValueError("no"))) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("handler", "status"), [(ignore, 0), (raiser(SystemExit()), 1)])
def test_an_error_in_shutdown_request_is_lost_and_the_status_stays(
    api: Any, handler: Any, status: int
) -> None:
    class Server(api.ForkingTCPServer):
        shutdown_request = raiser(KeyError("lost"))

    assert status_after(Server, handler) == status


def test_a_child_ends_at_once_without_the_parents_exit_handlers(api: Any, told: Told) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        atexit.register(told.say, "exit handler")
        # An ordinary exit would wait for this thread.
        threading.Thread(target=threading.Event().wait).start()

    assert status_after(api.ForkingTCPServer, handler) == 0
    assert told.so_far() == []


def test_text_that_a_child_printed_is_not_lost(
    api: Any, improved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output to a file is buffered; with the standard library's module the buffer is lost."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        print("from the child")

    file = tmp_path / "output"
    with file.open("w") as output, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        print("from the parent")
        assert status_after(api.ForkingTCPServer, handler) == 0
    lines = file.read_text().splitlines()
    assert lines.count("from the parent") == 1
    assert lines.count("from the child") == (1 if improved else 0)


def test_the_parent_closes_the_request(api: Any, gate: Gate) -> None:
    requests = []

    class Server(api.ForkingTCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            requests.append(request)
            super().process_request(request, client_address)

    def handler(request: Any, client_address: Any, server: Any) -> None:
        gate.wait()
        request.sendall(b"still open here")

    with Server(LOOPBACK, handler) as server, connect(server.server_address) as client:
        take_one(server)
        assert requests[0].fileno() == -1
        gate.open()
        assert receive_all(client) == b"still open here"


def test_a_running_child_does_not_keep_the_listener_open(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any
) -> None:
    """In the standard library, the child's copy of the listener still accepts connections."""
    server = api.ForkingTCPServer(LOOPBACK, held)
    server.block_on_close = False
    address = server.server_address
    take_and_leave(server, told)
    server.server_close()
    if improved:
        with pytest.raises(ConnectionRefusedError):
            connect(address)
    else:
        connect(address).close()
    gate.open()
    server.collect_children(blocking=True)
    server.server_close()


def test_a_loop_without_children_and_listener_does_not_spin(
    api: Any, improved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor that the loop watched must not look ready forever once it is closed."""
    if not improved:
        pytest.skip("spins on any closed listener")
    woken_by: list[Any] = []

    def counted(wait: Any) -> Any:
        ready = wait()
        woken_by.append(ready)
        return ready

    class Server(api.ForkingTCPServer):
        turns_after_the_close = 0

        def service_actions(self) -> None:
            super().service_actions()
            if self.fileno() == -1:
                self.turns_after_the_close += 1
            elif self.active_children is not None:
                self.server_close()
                woken_by.clear()
            if self.turns_after_the_close == 5:
                stop(self)

    fake = recording_selector(api._ServerSelector, [], [counted] * 1000)
    monkeypatch.setattr(api, "_ServerSelector", fake)
    with Server(LOOPBACK, ignore) as server, connect(server.server_address):
        server.serve_forever(0.001)
    assert woken_by == [[]] * 5


def test_the_handler_may_read_the_servers_socket_attribute(api: Any) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(b"%d" % (server.socket.fileno() == server.fileno()))
        server.socket.close()

    with api.ForkingTCPServer(LOOPBACK, handler) as server:
        assert serve_one(server) == b"1"


def test_the_servers_socket_can_be_the_request(api: Any) -> None:
    """Some servers connect instead of listening; the child keeps that connection."""

    class Server(api.ForkingTCPServer):
        def server_bind(self) -> None:
            self.socket.connect(self.server_address)

        def server_activate(self) -> None:
            pass

        def get_request(self) -> Any:
            return self.socket, self.server_address

    with (
        api.TCPServer(LOOPBACK, ignore) as other_end,
        Server(other_end.server_address, echo) as server,
    ):
        client, _ = other_end.socket.accept()
        with client:
            client.sendall(b"hello")
            server.handle_request()
            assert receive_all(client) == b"hello"


def test_a_handler_may_accept_connections_itself(api: Any) -> None:
    """The listener is then the request, and the child keeps it."""

    class Server(api.ForkingTCPServer):
        def get_request(self) -> Any:
            return self.socket, self.server_address

        def close_request(self, request: Any) -> None:
            pass

        def shutdown_request(self, request: Any) -> None:
            pass

    def handler(request: Any, client_address: Any, server: Any) -> None:
        connection, _ = request.accept()
        with connection:
            echo(connection, client_address, server)

    with Server(LOOPBACK, handler) as server:
        assert serve_one(server, b"hello") == b"hello"


@pytest.mark.parametrize("kind", ["UDPServer", "UnixDatagramServer"])
def test_a_child_answers_datagrams_through_the_servers_socket(
    api: Any, short_path: Path, kind: str
) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        data, sock = request
        sock.sendto(data.upper(), client_address)

    server_class = mixed(api, "Forking", kind)
    with (
        server_class(address_for(kind, short_path), handler) as server,
        bound_client(server, short_path) as client,
    ):
        for word in (b"hello", b"again"):
            client.sendto(word, server.server_address)
            take_one(server)
            assert client.recv(100) == word.upper()


def test_mix_ins_can_be_stacked_and_each_waits_when_closing(
    api: Any, told: Told, gate: Gate, held: Any
) -> None:
    """`server_close` calls that of the next class."""
    closed = []

    class Base(api.TCPServer):
        def server_close(self) -> None:
            closed.append("base")
            super().server_close()

    class Server(api.ThreadingMixIn, api.ForkingMixIn, Base):
        pass

    class Reverse(api.ForkingMixIn, api.ThreadingMixIn, Base):
        pass

    gate.open()
    for server_class in (Server, Reverse):
        with server_class(LOOPBACK, held) as server:
            take_and_leave(server, told)
        assert closed.pop() == "base"
        assert closed == []


def test_the_mix_in_needs_no_constructor(api: Any, told: Told) -> None:
    class Server(api.ForkingMixIn):
        def finish_request(self, request: Any, client_address: Any) -> None:
            told.say("served", request, client_address)

        def shutdown_request(self, request: Any) -> None:
            told.say("shut down", request)

        def close_request(self, request: Any) -> None:
            pass

    server = Server()
    server.process_request("request", "client")
    server.collect_children(blocking=True)
    assert told.so_far() == [b"served request client", b"shut down request"]
    assert server.active_children == set()
