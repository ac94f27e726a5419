"""From a handler or a server class to a class with a pool."""

import http.server
import socketserver as library
from typing import Any

import pytest

import prefork
from prefork.cli.addresses import parse
from prefork.cli.options import ServeOptions
from prefork.cli.outcomes import Refusal
from prefork.cli.target import server_class as building

TCP = parse("tcp://127.0.0.1:0")


def function(request: Any, client_address: Any, server: Any) -> None:
    """A request handler."""


class Chosen(prefork.ForkingTCPServer):
    max_children = 7
    request_queue_size = 70


class OwnPool(prefork.PreforkTCPServer):
    prefork_settings = prefork.Settings(name="own", graceful_timeout=3.0)


class Threads(prefork.ThreadingMixIn, prefork.TCPServer):
    pass


class OneArgument(prefork.TCPServer):
    def __init__(self, address: Any) -> None:
        super().__init__(address, function, bind_and_activate=False)


def made(given: Any, address: Any = TCP, **said: Any) -> Any:
    options = {name: said.pop(name) for name in ("max_children", "backlog") if name in said}
    return building.pool_class("app:It", given, address, ServeOptions(**options, settings=said))


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("tcp://127.0.0.1:0", prefork.TCPServer),
        ("udp://127.0.0.1:0", prefork.UDPServer),
        ("unix://s", prefork.UnixStreamServer),
        ("unixgram://s", prefork.UnixDatagramServer),
    ],
)
def test_a_handler_is_served_by_the_kind_that_the_address_says(text: str, base: type) -> None:
    assert made(function, parse(text)).__mro__[1:3] == (prefork.PreforkMixIn, prefork.ForkingMixIn)
    assert issubclass(made(function, parse(text)), base)


def test_as_many_workers_as_cores_unless_somebody_has_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(building, "usable_cores", lambda: 3)
    assert made(function).max_children == 3
    assert made(prefork.ForkingTCPServer).max_children == 3
    assert made(library.ForkingTCPServer).max_children == 3
    assert made(prefork.PreforkTCPServer).max_children == 3
    assert made(Chosen).max_children == 7
    assert made(Chosen, max_children=5).max_children == 5


def test_the_actions_of_the_server_class_are_not_forgotten() -> None:
    class Acts(prefork.TCPServer):
        acted = 0

        def service_actions(self) -> None:
            self.acted += 1

    with construct(made(Acts), function) as server:
        server.service_actions()
        assert server.acted == 1


def test_a_pool_class_keeps_its_settings_except_those_given() -> None:
    assert made(OwnPool).prefork_settings == prefork.Settings(name="own", graceful_timeout=3.0)
    settings = made(OwnPool, graceful_timeout=1.0).prefork_settings
    assert settings == prefork.Settings(name="own", graceful_timeout=1.0)


def test_the_name_is_the_module_unless_one_is_given() -> None:
    assert made(function).prefork_settings.name == "app"
    assert made(function, name="other").prefork_settings.name == "other"


def test_threads_go_between_the_pool_and_the_server() -> None:
    kinds = made(function, threads=4).__mro__
    places = [
        kinds.index(kind)
        for kind in (prefork.PreforkMixIn, prefork.ThreadingMixIn, prefork.TCPServer)
    ]
    assert places == sorted(places)
    assert not issubclass(made(function, threads=1), prefork.ThreadingMixIn)
    assert made(Threads, threads=4).__mro__.count(prefork.ThreadingMixIn) == 1
    assert made(Threads, threads=4).prefork_settings.threads == 4
    with pytest.raises(Refusal, match="add ThreadingMixIn to its bases after PreforkMixIn"):
        made(OwnPool, threads=4)


def test_what_the_address_and_the_options_say() -> None:
    assert made(function).allow_reuse_address
    assert made(function).request_queue_size == 1024
    assert made(function, backlog=7).request_queue_size == 7
    assert made(Chosen).request_queue_size == 70
    assert made(http.server.HTTPServer, parse("tcp://[::1]:0")).address_family == 10


@pytest.mark.parametrize(
    ("given", "text", "own"),
    [
        (prefork.TCPServer, "udp://127.0.0.1:0", "tcp"),
        (prefork.UDPServer, "tcp://127.0.0.1:0", "udp"),
        (prefork.UnixStreamServer, "tcp://127.0.0.1:0", "unix"),
        (prefork.UnixDatagramServer, "unix://s", "unixgram"),
        (http.server.HTTPServer, "unix://s", "tcp"),
    ],
)
def test_a_server_class_for_another_kind_of_address(given: Any, text: str, own: str) -> None:
    with pytest.raises(Refusal, match=f"app:It is a server for {own}:// and cannot be bound to"):
        made(given, parse(text))


def test_more_workers_at_least_than_at_most_are_refused() -> None:
    limits: dict[str, Any] = {"sizing": "load", "min_children": 7}
    assert made(Chosen, **limits).prefork_settings.limits(7)[:2] == (7, 7)
    with pytest.raises(Refusal, match=r"min_children \(7\) is greater than max_children \(6\)"):
        made(Chosen, max_children=6, **limits)


@pytest.mark.parametrize("text", ["unix://s", "unixgram://s"])
def test_reuseport_is_for_ports(text: str) -> None:
    with pytest.raises(Refusal, match=f"Strategy 'reuseport' needs a TCP or UDP port, not {text}:"):
        made(prefork.BaseRequestHandler, parse(text), strategy="reuseport")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("a text", "it is of type str"),
        (lambda request: None, "it does not take"),
        (building, "it is of type module"),
    ],
)
def test_what_is_no_handler(found: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        building.check_handler("app:It", found)


@pytest.mark.parametrize("found", [function, prefork.StreamRequestHandler, lambda *_: None, dict])
def test_what_may_be_a_handler(found: Any) -> None:
    """A built-in says nothing of its arguments; that counts for it."""
    building.check_handler("app:It", found)


@pytest.mark.parametrize(
    ("found", "handler", "served"),
    [
        (function, True, True),
        (http.server.SimpleHTTPRequestHandler, True, True),
        (Chosen, False, True),
        (http.server.HTTPServer, False, True),
        (prefork.StreamRequestHandler, False, False),
        (library.StreamRequestHandler, False, False),
        (made, False, False),
        (dict, False, False),
        (Any, False, False),
        ("a text", False, False),
        (building, False, False),
    ],
)
def test_what_is_offered_in_the_place_of_a_wrong_name(
    found: Any, handler: bool, served: bool
) -> None:
    assert building.could_be_handler(found) is handler
    assert building.could_be_served(found) is served


def construct(kind: Any, handler: Any) -> Any:
    return building.construct("app:It", kind, kind, TCP, handler)


def test_a_server_class_is_constructed_as_it_wants_to_be() -> None:
    with construct(OneArgument, None) as server:
        assert server.RequestHandlerClass is function
    with construct(prefork.TCPServer, function) as server:
        assert server.RequestHandlerClass is function
    with pytest.raises(Refusal, match="does not take a request handler: remove --handler"):
        construct(OneArgument, function)
    with pytest.raises(Refusal, match="needs a request handler: add --handler"):
        construct(prefork.TCPServer, None)
