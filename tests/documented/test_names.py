"""The names of the module, their defaults and their signatures."""

import contextlib
import copy
import inspect
import io
import os
import pickle
import selectors
import socket
import sys
import threading
import time
from typing import Any

import pytest

from tests.documented.kit import BACKLOG, LOOPBACK, ignore

DOCUMENTED = {
    "BaseServer",
    "TCPServer",
    "UDPServer",
    "UnixStreamServer",
    "UnixDatagramServer",
    "ForkingMixIn",
    "ForkingTCPServer",
    "ForkingUDPServer",
    "ThreadingMixIn",
    "ThreadingTCPServer",
    "ThreadingUDPServer",
    "ThreadingUnixStreamServer",
    "ThreadingUnixDatagramServer",
    "BaseRequestHandler",
    "StreamRequestHandler",
    "DatagramRequestHandler",
}
FORKING_UNIX = {"ForkingUnixStreamServer", "ForkingUnixDatagramServer"}
POOL = {
    "PreforkGroup",
    "PreforkMixIn",
    "PreforkTCPServer",
    "PreforkUDPServer",
    "PreforkUnixStreamServer",
    "PreforkUnixDatagramServer",
}

DEFAULTS = [
    ("BaseServer", "timeout", None),
    ("TCPServer", "timeout", None),
    ("TCPServer", "address_family", socket.AF_INET),
    ("TCPServer", "socket_type", socket.SOCK_STREAM),
    ("TCPServer", "request_queue_size", BACKLOG),
    ("TCPServer", "allow_reuse_address", False),
    ("TCPServer", "allow_reuse_port", False),
    ("UDPServer", "address_family", socket.AF_INET),
    ("UDPServer", "socket_type", socket.SOCK_DGRAM),
    ("UDPServer", "max_packet_size", 8192),
    ("UDPServer", "allow_reuse_address", False),
    ("UDPServer", "allow_reuse_port", False),
    ("UnixStreamServer", "address_family", socket.AF_UNIX),
    ("UnixStreamServer", "socket_type", socket.SOCK_STREAM),
    ("UnixDatagramServer", "address_family", socket.AF_UNIX),
    ("UnixDatagramServer", "socket_type", socket.SOCK_DGRAM),
    ("ForkingMixIn", "timeout", 300),
    ("ForkingMixIn", "active_children", None),
    ("ForkingMixIn", "max_children", 40),
    ("ForkingMixIn", "block_on_close", True),
    ("ForkingTCPServer", "timeout", 300),
    ("ForkingTCPServer", "request_queue_size", BACKLOG),
    ("ThreadingMixIn", "daemon_threads", False),
    ("ThreadingMixIn", "block_on_close", True),
    ("ThreadingTCPServer", "request_queue_size", BACKLOG),
    ("StreamRequestHandler", "rbufsize", -1),
    ("StreamRequestHandler", "wbufsize", 0),
    ("StreamRequestHandler", "timeout", None),
    ("StreamRequestHandler", "disable_nagle_algorithm", False),
]

SIGNATURES = [
    ("BaseServer", "__init__", "(self, server_address, RequestHandlerClass)"),
    ("BaseServer", "server_activate", "(self)"),
    ("BaseServer", "serve_forever", "(self, poll_interval=0.5)"),
    ("BaseServer", "shutdown", "(self)"),
    ("BaseServer", "service_actions", "(self)"),
    ("BaseServer", "handle_request", "(self)"),
    ("BaseServer", "_handle_request_noblock", "(self)"),
    ("BaseServer", "handle_timeout", "(self)"),
    ("BaseServer", "verify_request", "(self, request, client_address)"),
    ("BaseServer", "process_request", "(self, request, client_address)"),
    ("BaseServer", "server_close", "(self)"),
    ("BaseServer", "finish_request", "(self, request, client_address)"),
    ("BaseServer", "shutdown_request", "(self, request)"),
    ("BaseServer", "close_request", "(self, request)"),
    ("BaseServer", "handle_error", "(self, request, client_address)"),
    ("BaseServer", "__enter__", "(self)"),
    ("BaseServer", "__exit__", "(self, *args)"),
    (
        "TCPServer",
        "__init__",
        "(self, server_address, RequestHandlerClass, bind_and_activate=True)",
    ),
    ("TCPServer", "server_bind", "(self)"),
    ("TCPServer", "server_activate", "(self)"),
    ("TCPServer", "server_close", "(self)"),
    ("TCPServer", "fileno", "(self)"),
    ("TCPServer", "get_request", "(self)"),
    ("TCPServer", "shutdown_request", "(self, request)"),
    ("TCPServer", "close_request", "(self, request)"),
    ("UDPServer", "get_request", "(self)"),
    ("UDPServer", "server_activate", "(self)"),
    ("UDPServer", "shutdown_request", "(self, request)"),
    ("UDPServer", "close_request", "(self, request)"),
    ("ForkingMixIn", "collect_children", "(self, *, blocking=False)"),
    ("ForkingMixIn", "handle_timeout", "(self)"),
    ("ForkingMixIn", "service_actions", "(self)"),
    ("ForkingMixIn", "process_request", "(self, request, client_address)"),
    ("ForkingMixIn", "server_close", "(self)"),
    ("ThreadingMixIn", "process_request_thread", "(self, request, client_address)"),
    ("ThreadingMixIn", "process_request", "(self, request, client_address)"),
    ("ThreadingMixIn", "server_close", "(self)"),
    ("_Threads", "append", "(self, thread)"),
    ("_Threads", "pop_all", "(self)"),
    ("_Threads", "join", "(self)"),
    ("_Threads", "reap", "(self)"),
    ("_NoThreads", "append", "(self, thread)"),
    ("_NoThreads", "join", "(self)"),
    ("BaseRequestHandler", "__init__", "(self, request, client_address, server)"),
    ("BaseRequestHandler", "setup", "(self)"),
    ("BaseRequestHandler", "handle", "(self)"),
    ("BaseRequestHandler", "finish", "(self)"),
    ("StreamRequestHandler", "setup", "(self)"),
    ("StreamRequestHandler", "finish", "(self)"),
    ("DatagramRequestHandler", "setup", "(self)"),
    ("DatagramRequestHandler", "finish", "(self)"),
    ("_SocketWriter", "__init__", "(self, sock)"),
    ("_SocketWriter", "writable", "(self)"),
    ("_SocketWriter", "write", "(self, b)"),
    ("_SocketWriter", "fileno", "(self)"),
]

COMBINED = [
    (f"{mixin}{kind}", f"{mixin}MixIn", kind)
    for mixin in ("Forking", "Threading")
    for kind in ("TCPServer", "UDPServer", "UnixStreamServer", "UnixDatagramServer")
]


def offered(api: Any) -> set[str]:
    if api.__name__ != "socketserver":
        return DOCUMENTED | FORKING_UNIX | POOL
    return DOCUMENTED | FORKING_UNIX if sys.version_info >= (3, 12) else DOCUMENTED


def test_all_lists_the_documented_names(api: Any) -> None:
    assert sorted(api.__all__) == sorted(offered(api))


def test_every_public_class_of_the_module_is_listed_in_all(api: Any) -> None:
    defined_here = {
        name
        for name, value in vars(api).items()
        if isinstance(value, type)
        and not name.startswith("_")
        # At the root of a checkout, an import of `socketserver` gives our classes that module name.
        and value.__module__.startswith((api.__name__, "socketserver"))
    }
    assert defined_here == set(api.__all__)


def test_classes_can_be_found_again_by_their_module_and_name(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, api.__name__, api)
    for name in api.__all__:
        assert pickle.loads(pickle.dumps(getattr(api, name))) is getattr(api, name)


def test_the_modules_it_uses_are_globals_that_programs_may_replace(api: Any) -> None:
    assert api.socket is socket
    assert api.selectors is selectors
    assert api.os is os
    assert api.sys is sys
    assert api.threading is threading
    assert api.time is time.monotonic
    assert api.BufferedIOBase is io.BufferedIOBase


def test_the_private_names_that_programs_use_exist(api: Any) -> None:
    assert issubclass(api._ServerSelector, selectors.PollSelector)
    assert issubclass(api._SocketWriter, io.BufferedIOBase)
    assert issubclass(api._Threads, list)
    assert not issubclass(api._NoThreads, list)
    assert isinstance(api.ThreadingMixIn._threads, api._NoThreads)


def test_the_version_is_that_of_the_standard_library(api: Any) -> None:
    deprecated = sys.version_info >= (3, 15)
    with pytest.deprecated_call() if deprecated else contextlib.nullcontext():
        assert api.__version__ == "0.4"


@pytest.mark.parametrize(("owner", "name", "default"), DEFAULTS)
def test_settings_have_the_documented_defaults(
    api: Any, owner: str, name: str, default: object
) -> None:
    value = getattr(getattr(api, owner), name)
    assert value == default
    assert type(value) is type(default)


@pytest.mark.parametrize(("owner", "name", "signature"), SIGNATURES)
def test_methods_take_the_documented_parameters(
    api: Any, owner: str, name: str, signature: str
) -> None:
    found = inspect.signature(getattr(getattr(api, owner), name))
    bare = [
        parameter.replace(annotation=parameter.empty) for parameter in found.parameters.values()
    ]
    assert str(inspect.Signature(bare)) == signature


def test_a_datagram_server_has_reuse_settings_of_its_own(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.TCPServer, "allow_reuse_address", True)
    monkeypatch.setattr(api.TCPServer, "allow_reuse_port", True)
    assert api.ThreadingTCPServer.allow_reuse_address is True
    assert api.UDPServer.allow_reuse_address is False
    assert api.UDPServer.allow_reuse_port is False


@pytest.mark.parametrize(("name", "mixin", "kind"), COMBINED)
def test_ready_made_classes_put_the_mix_in_before_the_server(
    api: Any, name: str, mixin: str, kind: str
) -> None:
    if name not in api.__all__:
        pytest.skip("new in Python 3.12")
    combined = getattr(api, name)
    assert combined.__bases__ == (getattr(api, mixin), getattr(api, kind))


def test_server_classes_derive_from_each_other_as_documented(api: Any) -> None:
    assert api.TCPServer.__bases__ == (api.BaseServer,)
    assert api.UDPServer.__bases__ == (api.TCPServer,)
    assert api.UnixStreamServer.__bases__ == (api.TCPServer,)
    assert api.UnixDatagramServer.__bases__ == (api.UDPServer,)
    assert api.StreamRequestHandler.__bases__ == (api.BaseRequestHandler,)
    assert api.DatagramRequestHandler.__bases__ == (api.BaseRequestHandler,)


@pytest.mark.parametrize("mixin", ["ForkingMixIn", "ThreadingMixIn"])
def test_a_mix_in_has_no_constructor(api: Any, mixin: str) -> None:
    assert getattr(api, mixin).__init__ is object.__init__


def test_the_base_server_has_no_socket(api: Any) -> None:
    for name in ("fileno", "get_request", "server_bind", "socket"):
        assert not hasattr(api.BaseServer, name)


def test_a_new_server_has_exactly_the_known_attributes(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as server:
        assert set(vars(server)) == {
            "server_address",
            "RequestHandlerClass",
            "socket",
            "_BaseServer__is_shut_down",
            "_BaseServer__shutdown_request",
        }


@pytest.mark.parametrize("name", ["ForkingTCPServer", "ThreadingTCPServer"])
def test_mix_ins_add_nothing_to_a_new_server(api: Any, name: str) -> None:
    with getattr(api, name)(LOOPBACK, ignore) as server, api.TCPServer(LOOPBACK, ignore) as plain:
        assert set(vars(server)) == set(vars(plain))


def test_classes_are_not_subscriptable(api: Any) -> None:
    with pytest.raises(TypeError):
        api.TCPServer[int]


def test_a_server_can_be_neither_pickled_nor_copied_deeply(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, api.__name__, api)
    with api.TCPServer(LOOPBACK, ignore) as server:
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(server)
        with pytest.raises(TypeError, match="pickle"):
            copy.deepcopy(server)


def test_a_shallow_copy_shares_the_socket(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as server:
        assert copy.copy(server).socket is server.socket


def test_servers_are_compared_by_identity_and_are_always_true(api: Any) -> None:
    with api.TCPServer(LOOPBACK, ignore) as one, api.TCPServer(LOOPBACK, ignore) as other:
        assert one
        assert len({one, other}) == 2
        assert type(one).__eq__ is object.__eq__
        assert type(one).__repr__ is object.__repr__
        assert not hasattr(type(one), "__del__")
        assert not hasattr(type(one), "__slots__")
