"""Turns what the user named into a server class with a pool."""

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
    """Whether it is a server class, of this package or of the standard library."""
    return isinstance(found, type) and issubclass(found, _in_both_modules("BaseServer"))


def _in_both_modules(name: str) -> tuple[type, ...]:
    modules = (api, sys.modules.get("socketserver", api))
    return tuple(getattr(module, name) for module in modules)


def check_handler(target: str, found: Any) -> None:
    """Check a request handler.

    Errors: `Refusal` if it cannot be called like one.
    """
    if callable(found):
        try:
            inspect.signature(found).bind("request", "client_address", "server")
            return
        except ValueError:
            return  # its arguments are unknown
        except TypeError:
            what = "it does not take (request, client_address, server)"
    else:
        what = f"it is of type {type(found).__name__}"
    raise Refusal(f"{target} is neither a request handler nor a server class: {what}.")


def could_be_handler(found: Any) -> bool:
    """Whether to suggest it for a misspelled request handler.

    A class that only accepts three arguments is not suggested, nor are the documented base classes,
    which handle nothing themselves.
    """
    if isinstance(found, type):
        bases = _in_both_modules("BaseRequestHandler")
        return issubclass(found, bases) and found.__module__ != "socketserver"
    if not inspect.isroutine(found):
        return False
    try:
        check_handler("", found)
    except Refusal:
        return False
    return True


def could_be_served(found: Any) -> bool:
    """Whether to suggest it for a misspelled request handler or server class."""
    return is_server_class(found) or could_be_handler(found)


def pool_class(target: str, given: Any, address: Address, options: ServeOptions) -> Any:
    """Return a server class with a pool: `given`, or one of the documented kinds for a handler.

    Errors: `Refusal`.
    """
    if not is_server_class(given):
        given = KINDS[address.scheme]
    _check_kind(target, given, address)
    threads = options.with_threads and not hasattr(given, "process_request_thread")
    if issubclass(given, PreforkMixIn):
        if threads:
            # ThreadingMixIn belongs between the pool and the server, but this class joins the two.
            raise Refusal(
                f"{target} is a pool without threads: for --threads, add ThreadingMixIn to its "
                "bases after PreforkMixIn."
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
    if settings.needs_ip_port and not address.is_ip:
        raise Refusal(
            f"Strategy {settings.strategy!r} needs a TCP or UDP port, not {address}: choose "
            "another strategy or another --bind."
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
    """Return an attribute of a server class, or `None` if it is the documented default."""
    for kind in given.__mro__:
        if name in vars(kind):
            documented = kind.__module__ == "socketserver" or kind.__module__.startswith("prefork.")
            return None if documented else int(vars(kind)[name])
    return None


def _check_kind(target: str, given: Any, address: Address) -> None:
    """Check that the class fits the address.

    Errors: `Refusal` if the class is for another kind of socket.
    """
    socket_type = getattr(given, "socket_type", None)
    if socket_type is None:
        return  # not one of the documented kinds
    streams = socket_type == TCPServer.socket_type
    unix = given.address_family == UnixStreamServer.address_family
    if (streams, unix) != (address.is_stream, not address.is_ip):
        scheme = {(True, True): "unix", (True, False): "tcp", (False, True): "unixgram"}
        own = scheme.get((streams, unix), "udp")
        raise Refusal(f"{target} is a server for {own}:// and cannot be bound to {address}.")


def construct(target: str, made: Any, given: Any, address: Address, handler: Any) -> Any:
    """Construct and bind the server with the arguments that its class takes.

    Errors: `Refusal`, and what the constructor raises.
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
        raise Refusal(f"{target} does not take a request handler: remove --handler.")
    return made(address.for_bind, handler)


def _takes(made: Any, arguments: int) -> bool:
    try:
        inspect.signature(made).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:
        return arguments == 2
    return True
