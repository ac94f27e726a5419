"""From what the user named to a server class with a pool."""

from __future__ import annotations

import inspect
import sys
from dataclasses import replace
from typing import Any

import prefork.socketserver as api
from prefork.cli.addresses import Address
from prefork.cli.options import ServeOptions, check_least
from prefork.cli.outcomes import Refusal
from prefork.readings.cores import usable_cores
from prefork.settings import Settings
from prefork.socketserver import (
    BaseServer,
    PreforkMixIn,
    TCPServer,
    ThreadingMixIn,
    UDPServer,
    UnixDatagramServer,
    UnixStreamServer,
)

KINDS: dict[str, type[BaseServer]] = {
    "tcp": TCPServer,
    "udp": UDPServer,
    "unix": UnixStreamServer,
    "unixgram": UnixDatagramServer,
}


def is_server_class(found: Any) -> bool:
    """Whether it is a server class, of ours or of the standard library's module."""
    return isinstance(found, type) and issubclass(found, _ours_and_theirs("BaseServer"))


def _ours_and_theirs(name: str) -> tuple[type, ...]:
    modules = (api, sys.modules.get("socketserver", api))
    return tuple(getattr(module, name) for module in modules)


def check_handler(target: str, found: Any) -> None:
    """Errors: `Refusal` when it cannot be called as a request handler is."""
    if callable(found):
        try:
            inspect.signature(found).bind("request", "client_address", "server")
            return
        except ValueError:
            return  # nothing is known of its arguments
        except TypeError:
            what = "it does not take (request, client_address, server)"
    else:
        what = f"it is of type {type(found).__name__}"
    raise Refusal(f"{target} is neither a request handler nor a server class: {what}.")


def could_be_handler(found: Any) -> bool:
    """Whether somebody who has misspelled a request handler may have meant this.

    Much more can be called with three arguments than was made for it; the documented base classes
    handle nothing themselves.
    """
    if isinstance(found, type):
        bases = _ours_and_theirs("BaseRequestHandler")
        return issubclass(found, bases) and found.__module__ != "socketserver"
    if not inspect.isroutine(found):
        return False
    try:
        check_handler("", found)
    except Refusal:
        return False
    return True


def could_be_served(found: Any) -> bool:
    """The same for what stands where a server class may stand too."""
    return is_server_class(found) or could_be_handler(found)


def pool_class(target: str, given: Any, address: Address, options: ServeOptions) -> Any:
    """A server class with a pool: `given`, or one of the documented kinds for a handler.

    Errors: `Refusal`.
    """
    if not is_server_class(given):
        given = KINDS[address.scheme]
    _check_kind(target, given, address)
    threads = options.with_threads and not hasattr(given, "process_request_thread")
    if issubclass(given, PreforkMixIn):
        if threads:
            # Between the pool and the server, where they belong, there is no room any more.
            raise Refusal(
                f"{target} is a pool without threads; for --threads its class needs ThreadingMixIn "
                "after PreforkMixIn."
            )
        bases: tuple[type, ...] = (given,)
    else:
        bases = (PreforkMixIn, ThreadingMixIn, given) if threads else (PreforkMixIn, given)
    made = type(given.__name__, bases, _attributes(target, given, address, options))
    made.__module__ = given.__module__
    return made


def _attributes(
    target: str, given: Any, address: Address, options: ServeOptions
) -> dict[str, object]:
    base = getattr(given, "prefork_settings", None)
    if not isinstance(base, Settings):
        base = Settings()
    settings = options.over(base)
    if not settings.name:
        settings = replace(settings, name=target.partition(":")[0])
    if settings.strategy == "reuseport" and not address.is_ip:
        raise Refusal(
            f"The strategy reuseport needs a TCP or UDP port, {address} is none; leave it out, or "
            "take another --bind."
        )
    attributes: dict[str, object] = {"prefork_settings": settings}
    chosen = chosen_by(given, "max_children")
    most = options.max_children or chosen or usable_cores()
    attributes["max_children"] = most
    check_least(settings, most)
    backlog = options.backlog or chosen_by(given, "request_queue_size")
    if backlog is not None:
        attributes["request_queue_size"] = backlog
    if address.scheme == "tcp":
        attributes["allow_reuse_address"] = True
    if address.is_ip:
        attributes["address_family"] = address.family
    return attributes


def chosen_by(given: Any, name: str) -> int | None:
    """A number of a server class, if the program has chosen it, and not the documentation."""
    for kind in given.__mro__:
        if name in vars(kind):
            documented = kind.__module__ == "socketserver" or kind.__module__.startswith("prefork.")
            return None if documented else int(vars(kind)[name])
    return None


def _check_kind(target: str, given: Any, address: Address) -> None:
    """Errors: `Refusal` when the class is made for another kind of socket than the address is."""
    socket_type = getattr(given, "socket_type", None)
    if socket_type is None:
        return  # not one of the documented kinds: it knows what it does
    streams = socket_type == TCPServer.socket_type
    unix = given.address_family == UnixStreamServer.address_family
    if (streams, unix) != (address.is_stream, not address.is_ip):
        scheme = {(True, True): "unix", (True, False): "tcp", (False, True): "unixgram"}
        own = scheme.get((streams, unix), "udp")
        raise Refusal(f"{target} is a server for {own}://, it cannot be bound to {address}.")


def construct(target: str, made: Any, given: Any, address: Address, handler: Any) -> Any:
    """The server, bound: constructed as its class wants it.

    Errors: `Refusal`, and whatever the constructor raises.
    """
    if not is_server_class(given):
        return made(address.for_bind, given)
    if handler is None and not _takes(made, 1):
        handler = getattr(given, "RequestHandlerClass", None)
        if handler is None:
            raise Refusal(f"{target} needs a request handler: add --handler MODULE:HANDLER.")
    if handler is None:
        return made(address.for_bind)
    if not _takes(made, 2):
        raise Refusal(f"{target} takes no request handler; leave --handler out.")
    return made(address.for_bind, handler)


def _takes(made: Any, arguments: int) -> bool:
    try:
        inspect.signature(made).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:
        return arguments == 2
    return True
