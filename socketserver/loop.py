"""The one loop: what `serve_forever()`, `handle_request()` and `shutdown()` do for every server.

A server may serve with more than its own process: forked children to reap, a pool to keep. It says
so through `_prefork_processes()`; the loop then waits for their descriptor beside the listener, and
ticks them at each wake-up. The functions take any object with the documented hooks,
so a mix-in can also put them over the standard library's own server classes.

State of a run lives in the instance's `__dict__` only while it runs, under names private to
`BaseServer`: no server needs to have run any `__init__` of ours.
"""

from __future__ import annotations

import logging
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import prefork.socketserver as api
from prefork.linux.eventfd import Wakeup
from prefork.workers.accept_errors import EXHAUSTED, EXHAUSTED_PAUSE
from prefork.workers.server_in_worker import Taker

logger = logging.getLogger("prefork")

FORGET_EXHAUSTED_AFTER = 1.0
"""Seconds without a failure after which the next one is news again, and logged."""


class Processes(Protocol):
    """The processes that a server serves with, as the loop sees them."""

    def fileno(self) -> int:
        """A descriptor that is readable when `tick()` has something to note."""

    def tick(self) -> None:
        """Note what happened and do what is due, without blocking."""

    def wants_listener(self) -> bool:
        """Whether the loop shall take requests now; otherwise they wait in the backlog."""

    def next_timeout(self) -> float | None:
        """Seconds until `tick()` is needed even if nothing happens."""

    def begin_drain(self) -> None:
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


class TrackedFd:
    """A descriptor in the selector whose owner may close it, or put another in its place.

    A closed descriptor would count as readable for ever, and its number may be somebody else's.
    """

    def __init__(self, owner: Any, selector: selectors.BaseSelector) -> None:
        self.owner = owner
        self._selector = selector
        self._fd: int | None = None

    def follow(self, wanted: bool = True, must: bool = False) -> None:
        """Watch what the owner has now, or nothing if it is not wanted for the time being.

        Errors: `ValueError` when it has none though it `must`.
        """
        now = self.owner.fileno() if wanted else None
        if now == self._fd:
            return
        if self._fd is not None:
            # By number: the owner itself may not have a descriptor any more.
            self._selector.unregister(self._fd)
            self._fd = None
        if now is not None and (now >= 0 or must):
            self._fd = self._selector.register(self.owner, selectors.EVENT_READ).fd

    def still_there(self) -> bool:
        """Whether what was found readable is the owner's still."""
        return self._fd is not None and self.owner.fileno() == self._fd


class ServerWatch:
    """What the selector watches for one server: its listener, and the processes it serves with."""

    def __init__(self, server: Any, selector: selectors.BaseSelector, run: Run | None) -> None:
        self.server = server
        self.processes = processes_of(server, persistent=run is not None)
        self.listener = TrackedFd(server, selector)
        self.listener.follow(must=True)
        self._run = run
        self._news = None if self.processes is None else TrackedFd(self.processes, selector)

    def prepare(self) -> float | None:
        """Watch what is wanted now; the seconds after which somebody must look again."""
        waits = [None if self.processes is None else self.processes.next_timeout()]
        wanted = self._wanted()
        if self._run is not None and (pause := self._run.paused_for()) > 0:
            waits.append(pause)
            wanted = False
        self.listener.follow(wanted)
        if self._news is not None:
            self._news.follow()
        return shortest(waits)

    def still_wanted(self) -> bool:
        """Whether a request that was found may be taken, now that the processes had their tick."""
        return self._wanted() and self.listener.still_there()

    def _wanted(self) -> bool:
        return self.processes is None or self.processes.wants_listener()


class Watch:
    """One selector on the listeners and the processes of some servers, and on a run's wake-up."""

    def __init__(self, servers: Sequence[Any], run: Run | None = None) -> None:
        self._run = run
        self._selector: selectors.BaseSelector = api._ServerSelector()
        self._begun = False
        try:
            self._watched = [ServerWatch(server, self._selector, run) for server in servers]
            if run is not None:
                self._selector.register(run.wakeup, selectors.EVENT_READ)
        except BaseException:
            self._selector.close()
            raise

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: Any) -> None:
        self._selector.close()
        if self._run is not None:
            for processes in self._processes():
                processes.begin_drain()

    def wait(self, timeout: float | None) -> list[Any]:
        """Wait at most `timeout` seconds (`None`: for ever); the servers with a request ready.

        Returns early and empty-handed when something else wants the loop's attention.
        """
        if not self._begun:
            self._begun = True
            self._tick()
        waits = [watched.prepare() for watched in self._watched]
        # By identity: servers of programs may compare as they like.
        ready = {id(key.fileobj) for key, _ in self._selector.select(shortest([timeout, *waits]))}
        if self._run is not None and id(self._run.wakeup) in ready:
            self._run.wakeup.clear()
        self._tick()
        return [w.server for w in self._watched if id(w.server) in ready and w.still_wanted()]

    def _tick(self) -> None:
        for processes in self._processes():
            processes.tick()

    def _processes(self) -> list[Processes]:
        return [w.processes for w in self._watched if w.processes is not None]


def members_of(server: Any) -> Sequence[Any]:
    """The servers to which its requests come: itself, unless it is a group of others."""
    ask = getattr(server, "_prefork_members", None)
    members: Sequence[Any] = (server,) if ask is None else ask()
    return members


def processes_of(server: Any, persistent: bool) -> Processes | None:
    """The processes to serve with, from now on (`persistent`) or for one request only."""
    ask = getattr(server, "_prefork_processes", None)
    processes: Processes | None = ask(persistent) if ask is not None else None
    return processes


def shortest(waits: list[float | None]) -> float | None:
    return min((wait for wait in waits if wait is not None), default=None)


def serve_forever(servers: Sequence[Any], poll_interval: float | None = 0.5) -> None:
    """Serve requests until `shutdown()` of any; look at its flag every `poll_interval` seconds.

    A flag that was set before is obeyed at once: whoever asked may be waiting already. It is looked
    at again after each wait, so that nothing is accepted once somebody has asked for the end.
    """
    everybody = list(servers)
    for server in servers:
        everybody += (member for member in members_of(server) if member is not server)
    try:
        run = Run()
        for server in everybody:
            # In this order: a signal handler in this thread must not wait for the loop's end.
            vars(server)["_BaseServer__run"] = run
            server._BaseServer__is_shut_down.clear()
        try:
            with run.wakeup, Watch(servers, run) as watch:
                while not _end_asked(everybody):
                    ready = watch.wait(poll_interval)
                    if _end_asked(everybody):
                        break
                    for server in ready:
                        server._handle_request_noblock()
                    for server in servers:
                        server.service_actions()
        finally:
            for server in everybody:
                if vars(server).get("_BaseServer__run") is run:
                    del vars(server)["_BaseServer__run"]
    finally:
        for server in everybody:
            server._BaseServer__shutdown_request = False
            server._BaseServer__is_shut_down.set()


def _end_asked(servers: Sequence[Any]) -> bool:
    return any(server._BaseServer__shutdown_request for server in servers)


def shutdown(server: Any) -> None:
    """Ask the loop to end and wait until it has; from the loop's own thread, only ask."""
    server._BaseServer__shutdown_request = True
    run: Run | None = vars(server).get("_BaseServer__run")
    if run is not None:
        run.wakeup.notify()  # also in its own thread: a signal handler does not end its wait
        if run.thread == threading.get_ident():
            return
    server._BaseServer__is_shut_down.wait()


def handle_request(server: Any) -> Any:
    """Serve one request, or return what `handle_timeout()` returns when none came in time."""
    patience = [member.socket.gettimeout() for member in members_of(server)]
    timeout: float | None = shortest([*patience, server.timeout])
    deadline = None if timeout is None else api.time() + timeout
    with Watch([server]) as watch:
        while True:
            if watch.wait(timeout):
                return server._handle_request_noblock()
            if deadline is not None:
                timeout = deadline - api.time()
                if timeout < 0:
                    return server.handle_timeout()


Process = Callable[[Any, Any], object]


def handle_waiting_request(server: Any, process: Process, take: Taker | None = None) -> bool:
    """Take the request that is waiting and have it processed; the step behind each wake-up.

    Returns whether one was taken.

    `take` is what the server's `get_request()` does, if that can be had for less.

    Errors: an `OSError` of `get_request()` drops the request. An `Exception` in processing goes to
    `handle_error()`. Everything else closes the request and propagates.
    """
    try:
        request, client_address = server.get_request() if take is None else take()
    except OSError as error:
        if error.errno in EXHAUSTED:
            pause_accepting(server, error)
        return False
    serve_taken(server, request, client_address, process)
    return True


def serve_taken(server: Any, request: Any, client_address: Any, process: Process) -> None:
    """Have a request processed that was taken, by the rules of `handle_waiting_request()`."""
    try:
        wanted = server.verify_request(request, client_address)
    except BaseException:
        server.shutdown_request(request)
        raise
    if wanted:
        serve_verified(server, request, client_address, process)
    else:
        server.shutdown_request(request)


def serve_verified(server: Any, request: Any, client_address: Any, process: Process) -> None:
    """The same for one that was verified already."""
    try:
        try:
            process(request, client_address)
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
