"""The constructor, binding and listening."""

import errno
import os
import socket
import struct
from typing import Any
from unittest import mock

import pytest

from tests.documented.kit import (
    BACKLOG,
    LOOPBACK,
    Record,
    echo,
    has_ended,
    ignore,
    raiser,
    serve_one,
    stop,
    traced,
)
from tests.support.leaks import descriptors

needs_ipv6 = pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")


def backlog_of(listener: socket.socket) -> int:
    """The backlog of a listening socket, from the kernel (struct tcp_info)."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    length: int = struct.unpack_from("I", info, 28)[0]
    return length


def test_the_constructor_binds_and_then_listens(api: Any, record: Record) -> None:
    with traced(api.TCPServer, record)(LOOPBACK, ignore):
        assert record == ["server_bind", "server_activate"]


def test_without_bind_and_activate_neither_happens(api: Any, record: Record) -> None:
    with traced(api.TCPServer, record)(LOOPBACK, ignore, bind_and_activate=False) as server:
        assert record == []
        assert server.server_address == LOOPBACK
        assert server.socket.getsockname() == ("0.0.0.0", 0)


def test_binding_and_activating_can_be_done_by_hand(api: Any) -> None:
    with api.TCPServer(LOOPBACK, echo, False) as server:
        server.server_bind()
        server.server_activate()
        assert serve_one(server, b"hello") == b"hello"


def test_once_bound_server_address_is_the_real_address(api: Any) -> None:
    with api.TCPServer(("localhost", 0), ignore) as server:
        assert server.server_address == server.socket.getsockname()
        host, port = server.server_address
        assert host == "127.0.0.1"
        assert port != 0


@pytest.mark.parametrize("hook", ["server_bind", "server_activate"])
@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt, SystemExit])
def test_when_the_constructor_fails_it_closes_and_raises_the_error(
    api: Any, record: Record, hook: str, kind: type[BaseException]
) -> None:
    error = kind()
    sockets = []

    def fail(server: Any) -> None:
        sockets.append(server.socket)
        raise error

    with pytest.raises(kind) as caught:
        traced(api.TCPServer, record, **{hook: fail})(LOOPBACK, ignore)
    assert caught.value is error
    assert record[-2:] == [hook, "server_close"]
    assert sockets[0].fileno() == -1


def test_if_the_port_is_in_use_the_constructor_closes_the_socket_and_raises(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as first:
        before = descriptors()
        with pytest.raises(OSError, match="in use") as caught:
            api.TCPServer(first.server_address, ignore)
        assert caught.value.errno == errno.EADDRINUSE
        # The traceback still refers to the server: its socket was closed, not garbage-collected.
        assert descriptors() == before


def test_a_server_owns_one_descriptor(api: Any) -> None:
    before = descriptors()
    with api.TCPServer(LOOPBACK, ignore) as server:
        [(number, _)] = descriptors() - before
        assert number == server.fileno()
        stop(server)
        server.serve_forever()
        [(number, _)] = descriptors() - before
        assert number == server.fileno()
    assert descriptors() == before


def test_the_constructor_calls_the_base_server_by_name(api: Any) -> None:
    class Other(api.BaseServer):
        def __init__(self) -> None:
            raise AssertionError("the constructors are not cooperative")

    class Server(api.TCPServer, Other):
        pass

    with Server(LOOPBACK, ignore) as server:
        assert server.RequestHandlerClass is ignore


def test_a_server_may_be_initialised_again(api: Any) -> None:
    with api.ThreadingTCPServer(LOOPBACK, ignore) as server:
        first_address = server.server_address
        serve_one(server)
        stop(server)
        server.serve_forever()
        server.server_close()
        api.TCPServer.__init__(server, LOOPBACK, echo)
        assert not has_ended(server)
        assert server.server_address != first_address
        assert serve_one(server, b"again") == b"again"


def test_the_loop_needs_no_constructor(api: Any) -> None:
    """Test doubles set the private attributes on the class, and expect the loop to return."""

    class Server(api.TCPServer):
        _BaseServer__shutdown_request = True
        _BaseServer__is_shut_down = mock.Mock()

        def __init__(self) -> None:
            self.socket = socket.create_server(LOOPBACK)

    with Server() as server:
        server.serve_forever()
        server._BaseServer__is_shut_down.clear.assert_called_once_with()
        server._BaseServer__is_shut_down.set.assert_called_once_with()


def test_the_backlog_has_the_documented_default_length(api: Any) -> None:
    with (
        api.TCPServer(LOOPBACK, ignore) as server,
        socket.create_server(LOOPBACK, backlog=BACKLOG) as listener,
    ):
        assert backlog_of(server.socket) == backlog_of(listener)


def test_the_backlog_is_as_long_as_request_queue_size(api: Any) -> None:
    class Server(api.TCPServer):
        request_queue_size = 17

    with Server(LOOPBACK, ignore) as server:
        assert backlog_of(server.socket) == 17


def test_settings_may_be_set_on_the_instance_before_the_constructor_runs(api: Any) -> None:
    class Server(api.TCPServer):
        def __init__(self) -> None:
            self.request_queue_size = 9
            self.allow_reuse_address = 1
            self.allow_reuse_port = True
            api.TCPServer.__init__(self, LOOPBACK, ignore)

    with Server() as server:
        assert backlog_of(server.socket) == 9
        assert server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        assert server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1


@pytest.mark.parametrize(
    ("setting", "option"),
    [("allow_reuse_address", socket.SO_REUSEADDR), ("allow_reuse_port", socket.SO_REUSEPORT)],
)
@pytest.mark.parametrize("kind", ["TCPServer", "UDPServer", "ThreadingTCPServer"])
@pytest.mark.parametrize("wanted", [False, True])
def test_reuse_options_are_set_only_when_their_settings_are_true(
    api: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    setting: str,
    option: int,
    wanted: bool,
) -> None:
    monkeypatch.setattr(getattr(api, kind), setting, wanted, raising=False)
    with getattr(api, kind)(LOOPBACK, ignore) as server:
        assert server.socket.getsockopt(socket.SOL_SOCKET, option) == wanted


def test_port_reuse_is_set_for_ip_families_only(api: Any, improved: bool, short_path: Any) -> None:
    """Newer kernels refuse SO_REUSEPORT on Unix sockets."""
    if not improved:
        pytest.skip("depends on the kernel and the version")

    class Server(api.UnixStreamServer):
        allow_reuse_port = True

    with Server(str(short_path / "s"), echo) as server:
        assert serve_one(server, b"hello") == b"hello"


@needs_ipv6
def test_an_ipv6_literal_needs_no_setting(api: Any, improved: bool) -> None:
    if not improved:
        with pytest.raises(socket.gaierror):
            api.TCPServer(("::1", 0), echo)
        return
    with api.TCPServer(("::1", 0), echo) as server:
        assert server.socket.family == socket.AF_INET6
        assert server.server_address[0] == "::1"
        assert len(server.server_address) == 4
        assert serve_one(server, b"hello") == b"hello"
    assert api.TCPServer.address_family == socket.AF_INET


@needs_ipv6
def test_the_address_family_can_be_set(api: Any) -> None:
    class Server(api.TCPServer):
        address_family = socket.AF_INET6

    with Server(("::1", 0), echo) as server:
        assert len(server.server_address) == 4
        assert serve_one(server, b"hello") == b"hello"


def test_a_unix_server_reports_its_path(api: Any, short_path: Any) -> None:
    path = str(short_path / "s")
    with api.UnixStreamServer(path, ignore) as server:
        assert server.server_address == path


def test_an_abstract_unix_address_is_reported_as_bytes(api: Any) -> None:
    name = f"\0prefork-test-{os.getpid()}"
    with api.UnixStreamServer(name, echo) as server:
        assert server.server_address == name.encode()
        assert serve_one(server, b"hello") == b"hello"


def test_server_bind_may_extend_the_inherited_method(api: Any) -> None:
    class Server(api.TCPServer):
        def server_bind(self) -> None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            api.TCPServer.server_bind(self)
            self.server_name, self.server_port = self.server_address

    with Server(LOOPBACK, ignore) as server:
        assert server.server_port == server.socket.getsockname()[1]
        assert server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_server_activate_may_replace_the_socket(api: Any) -> None:
    """Servers do this to wrap their listener in TLS once it listens."""

    class Server(api.TCPServer):
        def server_activate(self) -> None:
            super().server_activate()
            self.socket = socket.socket(fileno=self.socket.detach())

    with Server(LOOPBACK, echo) as server:
        assert serve_one(server, b"hello") == b"hello"


def test_a_listening_socket_may_replace_the_servers(api: Any) -> None:
    """Servers do this under socket activation: they close the socket and set a listener."""
    with api.TCPServer(LOOPBACK, echo, bind_and_activate=False) as server:
        server.server_close()
        server.socket = socket.create_server(LOOPBACK)
        server.server_address = server.socket.getsockname()
        assert server.fileno() == server.socket.fileno()
        assert serve_one(server, b"hello") == b"hello"


def test_the_socket_module_is_looked_up_when_it_is_used(api: Any) -> None:
    with (
        mock.patch.object(api.socket, "socket", side_effect=raiser(OSError("replaced"))),
        pytest.raises(OSError, match="replaced"),
    ):
        api.TCPServer(LOOPBACK, ignore)


def test_the_socket_module_can_be_replaced_by_another(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Green-thread libraries do this: they replace `socket` in the module."""
    replacement = mock.Mock(wraps=socket)
    replacement.socket.return_value = socket.create_server(LOOPBACK)
    monkeypatch.setattr(api, "socket", replacement)
    with api.TCPServer(LOOPBACK, ignore, bind_and_activate=False) as server:
        assert server.socket is replacement.socket.return_value
