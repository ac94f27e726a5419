"""The one loop: what `serve_forever()`, `handle_request()` and `shutdown()` do for every server.

A server may serve with more than its own process: forked children to reap, a pool to keep. It says
so through `_prefork_crew()`, and the loop then waits for the crew's descriptor beside the listener
and gives the crew a turn at each wake-up. The functions take any object with the documented hooks,
so a mix-in can also put them over the standard library's own server classes.

State of a run lives in the instance's `__dict__` only while it runs, under names private to
`BaseServer`: no server needs to have run any `__init__` of ours.
"""

from __future__ import annotations

import logging
import selectors
import threading
import time
from typing import Any, Protocol

import prefork.socketserver as api
from prefork.wakeup import Wakeup
from prefork.workers.exhaustion import EXHAUSTED, EXHAUSTED_PAUSE

logger = logging.getLogger("prefork")

FORGET_EXHAUSTED_AFTER = 1.0
"""Seconds without a failure after which the next one is news again, and logged."""


class Crew(Protocol):
    """The processes that a server serves with, as the loop sees them."""

    def fileno(self) -> int:
        """A descriptor that is readable when `turn()` has something to note."""

    def turn(self) -> None:
        """Note what happened and do what is due, without blocking."""

    def wants_listener(self) -> bool:
        """Whether the loop shall take requests now; otherwise they wait in the backlog."""

    def due(self) -> float | None:
        """Seconds until `turn()` is needed even if nothing happens."""

    def rest(self) -> None:
        """The loop ends: take no more requests than those already waiting."""


class Run:
    """One run of the loop: which thread it is in, how to wake it, whether accepting is paused."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.wakeup = Wakeup()
        self.resume_at = 0.0

    def pause(self) -> None:
        self.resume_at = time.monotonic() + EXHAUSTED_PAUSE

    def paused_for(self) -> float:
        """Seconds of the pause that are left, 0 if there is none."""
        if not self.resume_at:
            return 0.0
        left = self.resume_at - time.monotonic()
        if left < -FORGET_EXHAUSTED_AFTER:
            self.resume_at = 0.0
        return max(left, 0.0)


class Watch:
    """One selector on the listener, the crew and the wake-up of a run."""

    def __init__(self, server: Any, run: Run | None = None) -> None:
        self._server = server
        self._run = run
        self._crew: Crew | None = crew_of(server, standing=run is not None)
        self._begun = False
        self._selector: selectors.BaseSelector = api._ServerSelector()
        try:
            key = self._selector.register(server, selectors.EVENT_READ)
            self._listener: int | None = key.fd
            if run is not None:
                self._selector.register(run.wakeup, selectors.EVENT_READ)
            if self._crew is not None:
                self._selector.register(self._crew.fileno(), selectors.EVENT_READ)
        except BaseException:
            self._selector.close()
            raise

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: Any) -> None:
        self._selector.close()
        if self._run is not None and self._crew is not None:
            self._crew.rest()

    def wait(self, timeout: float | None) -> bool:
        """Wait at most `timeout` seconds (`None`: for ever); whether a request is ready.

        Returns early, with False, when something else wants the loop's attention.
        """
        waits = [timeout]
        if self._crew is not None:
            if not self._begun:
                self._begun = True
                self._crew.turn()
            waits.append(self._crew.due())
        wanted = self._crew is None or self._crew.wants_listener()
        if self._run is not None and (pause := self._run.paused_for()) > 0:
            waits.append(pause)
            wanted = False
        self._watch_listener(wanted)
        ready = False
        for key, _ in self._selector.select(shortest(waits)):
            if key.fileobj is self._server:
                ready = True
            elif self._run is not None and key.fileobj is self._run.wakeup:
                self._run.wakeup.clear()
        if self._crew is not None:
            self._crew.turn()
        return ready and self._server.fileno() == self._listener

    def _watch_listener(self, wanted: bool) -> None:
        """Follow the listener: it may be unwanted for now, closed, or another socket by now.

        A closed descriptor counts as readable for ever, and its number may be somebody else's.
        """
        now = self._server.fileno() if wanted else None
        if now == self._listener:
            return
        if self._listener is not None:
            # By number: the server itself may not have a descriptor any more.
            self._selector.unregister(self._listener)
            self._listener = None
        if now is not None and now >= 0:
            self._listener = self._selector.register(self._server, selectors.EVENT_READ).fd


def crew_of(server: Any, standing: bool) -> Crew | None:
    """The crew to run with; `standing` is whether to serve from now on, or one request only."""
    ask = getattr(server, "_prefork_crew", None)
    crew: Crew | None = ask(standing) if ask is not None else None
    return crew


def shortest(waits: list[float | None]) -> float | None:
    return min((wait for wait in waits if wait is not None), default=None)


def serve_forever(server: Any, poll_interval: float | None = 0.5) -> None:
    """Serve requests until `shutdown()`; look at its flag every `poll_interval` seconds at least.

    A flag that was set before is obeyed at once: whoever asked may be waiting already. It is looked
    at again after each wait, so that nothing is accepted once somebody has asked for the end.
    """
    state = vars(server)
    server._BaseServer__is_shut_down.clear()
    try:
        run = state["_BaseServer__run"] = Run()
        try:
            with run.wakeup, Watch(server, run) as watch:
                while not server._BaseServer__shutdown_request:
                    ready = watch.wait(poll_interval)
                    if server._BaseServer__shutdown_request:
                        break
                    if ready:
                        server._handle_request_noblock()
                    server.service_actions()
        finally:
            if state.get("_BaseServer__run") is run:
                del state["_BaseServer__run"]
    finally:
        server._BaseServer__shutdown_request = False
        server._BaseServer__is_shut_down.set()


def shutdown(server: Any) -> None:
    """Ask the loop to end and wait until it has; from the loop's own thread, only ask."""
    server._BaseServer__shutdown_request = True
    run: Run | None = vars(server).get("_BaseServer__run")
    if run is not None:
        if run.thread == threading.get_ident():
            return
        run.wakeup.notify()
    server._BaseServer__is_shut_down.wait()


def handle_request(server: Any) -> Any:
    """Serve one request, or return what `handle_timeout()` returns when none came in time."""
    timeout: float | None = shortest([server.socket.gettimeout(), server.timeout])
    deadline = None if timeout is None else api.time() + timeout
    with Watch(server) as watch:
        while True:
            if watch.wait(timeout):
                return server._handle_request_noblock()
            if deadline is not None:
                timeout = deadline - api.time()
                if timeout < 0:
                    return server.handle_timeout()


def handle_waiting_request(server: Any) -> None:
    """Take the request that is waiting and have it processed; the step behind each wake-up.

    Errors: an `OSError` of `get_request()` drops the request. An `Exception` in processing goes to
    `handle_error()`. Everything else closes the request and propagates.
    """
    try:
        request, client_address = server.get_request()
    except OSError as error:
        if error.errno in EXHAUSTED:
            pause_accepting(server, error)
        return
    serve_taken(server, request, client_address)


def serve_taken(server: Any, request: Any, client_address: Any) -> None:
    """Have a request processed that was taken, by the rules of `handle_waiting_request()`."""
    try:
        if server.verify_request(request, client_address):
            try:
                server.process_request(request, client_address)
                return
            except Exception:
                server.handle_error(request, client_address)
    except BaseException:
        server.shutdown_request(request)
        raise
    server.shutdown_request(request)


def pause_accepting(server: Any, error: OSError) -> None:
    """Leave the listener alone for a moment: nothing could be accepted anyway."""
    run: Run | None = vars(server).get("_BaseServer__run")
    if run is None:
        return
    if not run.resume_at:
        logger.warning(
            "Accepting on %s failed: %s. Clients wait in the backlog; trying again every %g s.",
            server.server_address,
            error,
            EXHAUSTED_PAUSE,
        )
    run.pause()
