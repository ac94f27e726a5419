"""The loop that every server runs in `serve_forever()` and `handle_request()`.

A server may serve with other processes: forked children that it reaps, or a pool that it maintains.
It returns them from `_prefork_processes()`; the loop then waits for their descriptor as well as for
the listener, and calls `tick()` at each wake-up. The functions take any object with the documented
hooks, so a mix-in can also use them with the standard library's server classes.

The state of a run is stored in `ServerState.run` while the loop runs.
"""

from __future__ import annotations

import selectors
import sys
import threading
import time

import prefork.socketserver as api
from prefork.linux.eventfd import Wakeup
from prefork.socketserver.state import state_of
from prefork.workers.accept_errors import EXHAUSTED, EXHAUSTED_PAUSE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from prefork.workers.server_in_worker import Taker

    Process = Callable[[Any, Any], object]
    """Processes a request: `(request, client_address)`."""

    class Processes(Protocol):
        """The processes with which a server serves, as the loop sees them."""

        def fileno(self) -> int:
            """Return a descriptor that is readable when `tick()` has something to note."""

        def tick(self) -> None:
            """Note what happened and do what is due, without blocking."""

        def wants_listener(self) -> bool:
            """Return whether the loop should take requests now, or leave them in the backlog."""

        def next_timeout(self) -> float | None:
            """Return the seconds until `tick()` is needed even if nothing happens."""

        def begin_drain(self) -> None:
            """Note that the loop has ended and takes no more requests."""

    class LoopHooks(Protocol):
        """What the loop needs from a server in addition to the documented hooks.

        `BaseServer` and `PreforkMixIn` implement it for all servers that this loop runs.
        """

        def _prefork_members(self) -> Sequence[Any]:
            """Return the servers at which requests arrive: itself, or the members of a group."""

        def _prefork_processes(self, persistent: bool) -> Processes | None:
            """Return the processes that serve: `persistent` ones, or those for a single request."""


FORGET_EXHAUSTED_AFTER = 1.0
"""Seconds without a failure to accept; after that time the next failure is logged again."""


class Run:
    """One run of the loop: its thread, its wake-up, and whether accepting is paused."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.wakeup = Wakeup()
        self.resume_at = 0.0

    def pause(self) -> None:
        self.resume_at = time.monotonic() + EXHAUSTED_PAUSE

    def paused_for(self) -> float:
        """Return the remaining seconds of the pause, 0 if accepting is not paused."""
        if not self.resume_at:
            return 0.0
        left = self.resume_at - time.monotonic()
        if left < -FORGET_EXHAUSTED_AFTER:
            self.resume_at = 0.0
        return max(left, 0.0)


class TrackedFd:
    """A descriptor in the selector that its owner may close or replace.

    A closed descriptor would stay readable forever, and its number may be reused.
    """

    def __init__(self, owner: Any, selector: selectors.BaseSelector) -> None:
        self.owner = owner
        self._selector = selector
        self._fd: int | None = None

    def follow(self, wanted: bool = True, must: bool = False) -> None:
        """Watch the owner's present descriptor if it is `wanted`, otherwise nothing.

        Errors: `ValueError` if the owner `must` have a descriptor and has none.
        """
        now = self.owner.fileno() if wanted else None
        if now == self._fd:
            return
        if self._fd is not None:
            # By number: the owner may no longer have a descriptor.
            self._selector.unregister(self._fd)
            self._fd = None
        if now is not None and (now >= 0 or must):
            self._fd = self._selector.register(self.owner, selectors.EVENT_READ).fd

    def still_there(self) -> bool:
        """Return whether the descriptor that was found readable still belongs to the owner."""
        return self._fd is not None and self.owner.fileno() == self._fd


class ServerWatch:
    """What the selector watches for one server: its listener and its processes."""

    def __init__(self, server: Any, selector: selectors.BaseSelector, run: Run | None) -> None:
        self.server = server
        hooks: LoopHooks = server
        self.processes = hooks._prefork_processes(persistent=run is not None)
        self.listener = TrackedFd(server, selector)
        self.listener.follow(must=True)
        self._run = run
        self._news = None if self.processes is None else TrackedFd(self.processes, selector)

    def prepare(self) -> float | None:
        """Watch what is wanted now; return the seconds after which to check again."""
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
        """Return whether a request that was found may still be taken after `tick()`."""
        return self._wanted() and self.listener.still_there()

    def _wanted(self) -> bool:
        return self.processes is None or self.processes.wants_listener()


class Watch:
    """One selector on the listeners and the processes of some servers, and on the run's wake-up."""

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
        """Wait at most `timeout` seconds (`None`: no limit); return the servers with a request.

        The list is empty if something other than a request ended the wait.
        """
        if not self._begun:
            self._begun = True
            self._tick()
        waits = [watched.prepare() for watched in self._watched]
        # By identity: a program's server class may define `==`.
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


def members_of(server: LoopHooks) -> Sequence[Any]:
    """Return the servers at which requests arrive: itself, or the members of a group."""
    return server._prefork_members()


def shortest(waits: list[float | None]) -> float | None:
    return min((wait for wait in waits if wait is not None), default=None)


def serve_forever(servers: Sequence[Any], poll_interval: float | None = 0.5) -> None:
    """Serve requests until `shutdown()` of any server; wake up every `poll_interval` seconds.

    A stop flag that was set before the start ends the loop at once: its caller may already wait.
    The flag is read again after each wait, so that nothing is accepted once it is set.
    """
    all_servers = list(servers)
    for server in servers:
        all_servers += (member for member in members_of(server) if member is not server)
    try:
        run = Run()
        for server in all_servers:
            # In this order: a signal handler in this thread must not wait until the loop ends.
            state_of(server).run = run
            server._BaseServer__is_shut_down.clear()
        try:
            with run.wakeup, Watch(servers, run) as watch:
                while not _end_asked(all_servers):
                    ready = watch.wait(poll_interval)
                    if _end_asked(all_servers):
                        break
                    for server in ready:
                        server._handle_request_noblock()
                    for server in servers:
                        server.service_actions()
        finally:
            for server in all_servers:
                if (state := state_of(server)).run is run:
                    state.run = None
    finally:
        for server in all_servers:
            server._BaseServer__shutdown_request = False
            server._BaseServer__is_shut_down.set()


def _end_asked(servers: Sequence[Any]) -> bool:
    return any(server._BaseServer__shutdown_request for server in servers)


def shutdown(server: Any) -> None:
    """Ask the loop to end, and wait until it has ended unless this is the loop's own thread."""
    server._BaseServer__shutdown_request = True
    run = state_of(server).run
    if run is not None:
        run.wakeup.notify()  # in any thread: a signal handler alone does not end the wait
        if run.thread == threading.get_ident():
            return
    server._BaseServer__is_shut_down.wait()


def handle_request(server: Any) -> Any:
    """Serve one request; if none arrives in time, return what `handle_timeout()` returns."""
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


def handle_waiting_request(server: Any, process: Process, take: Taker | None = None) -> bool:
    """Take the request that is waiting and process it; return whether one was taken.

    `take` does the same as the server's `get_request()` at a lower cost; `None` if that is not
    possible.

    Errors: an `OSError` of `get_request()` drops the request. An `Exception` in processing goes to
    `handle_error()`. Any other exception closes the request and propagates.
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
    """Verify and process a request that was taken; for errors see `handle_waiting_request()`."""
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
    """Process a request that was taken and verified; for errors see `handle_waiting_request()`."""
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
    """Ignore the listener for a moment: the process or the machine has run out of a resource."""
    run = state_of(server).run
    if run is None:
        return
    if not run.resume_at:
        warn(
            "Accepting on %s failed: %s. Connections wait in the backlog; the next try is in %g s.",
            server.server_address,
            error,
            EXHAUSTED_PAUSE,
            event="accept_exhausted",
        )
    run.pause()


def warn(message: str, *arguments: object, event: str) -> None:
    """Log a warning as `prefork`, without loading `logging`.

    Loading a module needs a descriptor, and there may be none left. In a program that has not
    loaded `logging`, no handler is configured, and `logging.lastResort` would write the message to
    standard error; this function does the same.
    """
    logging: Any = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("prefork").warning(message, *arguments, extra={"event": event})
    elif sys.stderr is not None:
        print(message % arguments, file=sys.stderr)
