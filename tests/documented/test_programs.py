"""What real programs do with servers, in short form."""

import concurrent.futures
import logging
import selectors
import socket
from typing import Any
from unittest import mock

import pytest

from tests.documented.kit import LOOPBACK, Record, echo, has_ended, ignore, serve_one, stop
from tests.support.announcements import Told
from tests.support.clients import ask, connect, receive_all
from tests.support.deadlines import within
from tests.support.serving import start_serving


def test_a_pool_of_threads_can_be_added(api: Any, running: Any) -> None:
    class Server(api.ThreadingMixIn, api.TCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            pool.submit(self.process_request_thread, request, client_address)

    with concurrent.futures.ThreadPoolExecutor(2) as pool, running(Server(LOOPBACK, echo)) as s:
        assert [ask(s.server_address, b"%d" % n) for n in range(5)] == [
            b"0",
            b"1",
            b"2",
            b"3",
            b"4",
        ]


def test_a_server_can_be_stopped_closed_and_initialised_again(api: Any, running: Any) -> None:
    """Programs do this with one object to reload their configuration."""
    server = api.ThreadingTCPServer(LOOPBACK, echo)
    thread = start_serving(server)
    assert ask(server.server_address, b"before") == b"before"
    within(server.shutdown)
    server.server_close()
    thread.wait_until_it_ended()
    api.ThreadingTCPServer.__init__(server, LOOPBACK, echo)
    with running(server):
        assert ask(server.server_address, b"after") == b"after"


def test_finish_request_may_wrap_the_connection_and_pass_more_arguments(api: Any) -> None:
    class Wrapped:
        def __init__(self, request: socket.socket) -> None:
            self.sendall = request.sendall

    class Server(api.TCPServer):
        def finish_request(self, request: Any, client_address: Any) -> None:
            self.RequestHandlerClass(Wrapped(request), client_address, self, directory="here")

    def handler(request: Any, client_address: Any, server: Any, directory: str) -> None:
        assert isinstance(request, Wrapped)
        request.sendall(directory.encode())

    with Server(LOOPBACK, handler) as server:
        assert serve_one(server) == b"here"


def test_get_request_may_prepare_the_connection(api: Any) -> None:
    class Server(api.TCPServer):
        def get_request(self) -> Any:
            request, _ = super().get_request()
            request.settimeout(5)
            return request, ("fake", 0)

    seen = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        seen.append((request.gettimeout(), client_address))

    with Server(LOOPBACK, handler) as server:
        serve_one(server)
    assert seen == [(5, ("fake", 0))]


def test_a_request_may_be_a_tuple_of_a_connection_and_more(api: Any) -> None:
    class Server(api.ThreadingTCPServer):
        def get_request(self) -> Any:
            request, client_address = super().get_request()
            return (request, "more"), client_address

        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request[0])

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request[0].sendall(request[1].encode())

    with Server(LOOPBACK, handler) as server:
        assert serve_one(server) == b"more"


def test_a_writer_can_wrap_other_sockets_and_be_replaced(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handler(api.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"hello")

    written = []

    def write(writer: Any, data: bytes) -> int:
        written.append(data)
        return len(data)

    with monkeypatch.context() as patch:
        patch.setattr(api._SocketWriter, "write", write)
        with api.TCPServer(LOOPBACK, Handler) as server:
            assert serve_one(server) == b""
    with mock.patch.object(api, "_SocketWriter") as replaced:
        replaced.return_value.closed = False
        with api.TCPServer(LOOPBACK, Handler) as server:
            assert serve_one(server) == b""
        replaced.return_value.write.assert_called_once_with(b"hello")
    assert written == [b"hello"]


def test_a_process_request_that_does_nothing_keeps_the_request_open(api: Any) -> None:
    kept = []

    class Server(api.TCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            kept.append(request)

    with Server(LOOPBACK, ignore) as server, connect(server.server_address) as client:
        server.handle_request()
        with kept[0] as request:
            client.sendall(b"hello")
            assert request.recv(10) == b"hello"


def test_a_base_server_can_serve_without_any_socket(api: Any, record: Record) -> None:
    """The mock servers of other test suites do this."""

    class Mock(api.BaseServer):
        def __init__(self, address: Any, handler: Any) -> None:
            api.BaseServer.__init__(self, address, handler)
            self.server_bind()

        def server_bind(self) -> None:
            self.server_name, self.server_port = self.server_address

    def handler(request: Any, client_address: Any, server: Any) -> None:
        record(f"{request} {client_address} {server.server_port}")

    server = Mock(("host", 80), handler)
    server.finish_request(("tuple", "request"), ("client", 1))
    assert record == ["('tuple', 'request') ('client', 1) 80"]


def test_a_server_may_connect_and_serve_its_own_socket(api: Any) -> None:
    """Servers of remote procedure calls to a parent process do this."""

    class Server(api.TCPServer):
        def server_bind(self) -> None:
            pass

        def server_activate(self) -> None:
            self.socket.connect(self.server_address)

        def get_request(self) -> Any:
            return self.socket, self.server_address

        def shutdown_request(self, request: Any) -> None:
            pass

    with socket.create_server(LOOPBACK) as listener, Server(listener.getsockname(), echo) as server:
        peer, _ = listener.accept()
        with peer:
            for word in (b"one", b"two"):
                peer.sendall(word)
                server.handle_request()
                assert peer.recv(10) == word


def test_the_loop_can_have_another_name(api: Any) -> None:
    class Server(api.TCPServer):
        serve = api.TCPServer.serve_forever

    def last_one(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(b"served")
        stop(server)

    with Server(LOOPBACK, last_one) as server, connect(server.server_address) as client:
        server.serve(poll_interval=0.01)
        assert receive_all(client) == b"served"
        assert has_ended(server)


def test_a_copy_of_the_loops_body_works(api: Any) -> None:
    """Programs with their own loop use the private attributes of the base class."""

    class Server(api.TCPServer):
        def serve_forever(self, poll_interval: float = 0.5) -> None:
            self._BaseServer__is_shut_down.clear()
            try:
                while not self._BaseServer__shutdown_request:
                    self.handle_request()
            finally:
                self._BaseServer__shutdown_request = False
                self._BaseServer__is_shut_down.set()

    with Server(LOOPBACK, echo) as server:
        server.timeout = 0.01
        thread = start_serving(server)
        assert ask(server.server_address, b"hello") == b"hello"
        thread.shut_down()


def test_several_servers_can_be_served_by_one_selector(api: Any) -> None:
    with (
        api.TCPServer(LOOPBACK, echo) as one,
        api.TCPServer(LOOPBACK, echo) as other,
        api._ServerSelector() as selector,
    ):
        for server in (one, other):
            selector.register(server, selectors.EVENT_READ)
        for server in (other, one):
            with connect(server.server_address) as client:
                client.sendall(b"hello")
                [(key, _)] = selector.select(5)
                assert key.fileobj is server
                key.fileobj._handle_request_noblock()
                assert receive_all(client) == b"hello"


def test_a_receiver_of_log_records_has_its_own_loop(api: Any, told: Told) -> None:
    """`logging.config` does this: its own time-out, its own flag, one request after another."""

    class Receiver(api.ThreadingTCPServer):
        allow_reuse_address = True
        timeout = 1

    class Handler(api.StreamRequestHandler):
        def handle(self) -> None:
            record = logging.makeLogRecord({"msg": self.connection.recv(100).decode()})
            told.say("record", record.getMessage())

    with Receiver(LOOPBACK, Handler) as server:
        serve_one(server, b"hello")
        assert told.wait_for(b"record") == b"hello"


def test_all_names_can_be_star_imported(api: Any) -> None:
    for name in api.__all__:
        assert getattr(api, name).__name__ == name
