"""Keeps track of a server's requests in flight in a worker with threads."""

from __future__ import annotations

from typing import Any

import prefork.socketserver as api
from prefork.socketserver.state import state_of
from prefork.workers.in_flight import InFlight
from prefork.workers.sources.base import Serve


def has_threads(server: Any) -> bool:
    """Return whether the server serves its requests in threads."""
    # By the method, so that the standard library's ThreadingMixIn is recognised. A subclass of a
    # pool may define `process_request_thread()` without having threads.
    others = (kind for kind in type(server).__mro__ if not issubclass(kind, api.PreforkMixIn))
    return any(
        "process_request" in vars(kind) and hasattr(kind, "process_request_thread")
        for kind in others
    )


COUNTED = ("process_request", "process_request_thread")


def start_counting(server: Any, in_flight: InFlight) -> None:
    """Keep track of each request from when it is taken until it is served."""
    # In the instance, so that a method that a subclass overrides is wrapped as well.
    attributes = vars(server)
    state_of(server).replaced_methods = {name: attributes.get(name) for name in COUNTED}
    if has_threads(server):
        attributes["process_request"] = entering(server.process_request, in_flight)
        attributes["process_request_thread"] = leaving(server.process_request_thread, in_flight)
    else:
        attributes["process_request"] = leaving(server.process_request, in_flight)


def stop_counting(server: Any) -> None:
    """Undo `start_counting()` in a mold: each worker that is forked from it starts again."""
    state, attributes = state_of(server), vars(server)
    replaced, state.replaced_methods = state.replaced_methods, None
    for name, before in (replaced or {}).items():
        attributes.pop(name, None)
        if before is not None:
            attributes[name] = before


def entering(serve: Serve, in_flight: InFlight) -> Serve:
    """Return a `process_request()` that adds the request; its thread removes it."""

    def process_request(request: Any, client_address: Any) -> None:
        in_flight.enter(id(request), client_address)
        try:
            serve(request, client_address)
        except BaseException:
            in_flight.leave(id(request))
            raise

    return process_request


def leaving(serve: Serve, in_flight: InFlight) -> Serve:
    """Return a function that serves a request and then removes it."""

    def serve_and_leave(request: Any, client_address: Any) -> None:
        # Already added, unless a thread of the program called this directly.
        in_flight.serve(id(request), client_address)
        try:
            serve(request, client_address)
        finally:
            in_flight.leave(id(request))

    return serve_and_leave
