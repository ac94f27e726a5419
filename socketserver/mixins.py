"""The documented mix-ins: a new process, or a new thread, for each request.

Neither has an `__init__`, and neither relies on one having run: their state is created in the
instance when it is first needed.
"""

from __future__ import annotations

import threading

import prefork.socketserver as api
from prefork.linux.fork import fork_child
from prefork.linux.reaper import Reaper
from prefork.socketserver.in_child import HandingOver, release_listener, serve_in_child
from prefork.socketserver.state import state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from prefork.socketserver.loop import Processes
    from prefork.socketserver.servers import TCPServer

    # A mix-in is combined with a server class: the type checker treats it as one.
    _Mixin = TCPServer
else:
    _Mixin = object


class ForkingMixIn(_Mixin):
    """Serves each request in its own process, which is forked after the request was accepted.

    Class or instance variables, read when used: `max_children` (maximum number of children that run
    at once; further connections wait in the backlog, and the loop stays responsive), `timeout`
    (seconds that `handle_request()` waits; 300, as documented), `block_on_close` (whether
    `server_close()` waits for the children). `active_children` is `None` until the first fork, then
    the set of the children's pids.
    """

    timeout: float | None = 300
    active_children: set[int] | None = None
    max_children: int = 40
    block_on_close: bool = True

    def collect_children(self, *, blocking: bool = False) -> None:
        """Reap the children that have ended; with `blocking`, wait until all have ended."""
        if self.active_children is None:
            return
        _collect(self, 0.0)
        while blocking and self.active_children:
            _collect(self, None)

    def handle_timeout(self) -> Any:
        self.collect_children()

    def service_actions(self) -> None:
        self.collect_children()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Fork a child for the request; first wait until fewer than `max_children` run."""
        self.collect_children()
        while _is_full(self):
            _collect(self, None)
        _reaper_of(self)  # created now: once there is a child, nothing must fail
        with HandingOver(self, request):
            fork_child(lambda: self.__serve(request, client_address), self.__adopt)

    def server_close(self) -> None:
        """Close the listener, then wait for the children unless `block_on_close` is false."""
        super().server_close()
        self.collect_children(blocking=self.block_on_close)
        if not self.active_children and (reaper := _detach_reaper(self)):
            reaper.close()

    def _prefork_processes(self, persistent: bool) -> Processes:
        return _ForkedChildren(self)

    def __adopt(self, pid: int) -> None:
        if self.active_children is None:
            self.active_children = set()
        self.active_children.add(pid)
        _reaper_of(self).adopt(pid)

    def __serve(self, request: Any, client_address: Any) -> int:
        """Serve the request in the child; return its exit status."""
        if reaper := _detach_reaper(self):
            reaper.forget()
        release_listener(self, request)
        return serve_in_child(self, request, client_address)


class _ForkedChildren:
    """The children of a forking server, which takes no requests while `max_children` run."""

    def __init__(self, server: ForkingMixIn) -> None:
        self._server = server

    def fileno(self) -> int:
        reaper = state_of(self._server).reaper
        return -1 if reaper is None else reaper.fileno()

    def tick(self) -> None:
        _collect(self._server, 0.0)

    def wants_listener(self) -> bool:
        return not _is_full(self._server)

    def next_timeout(self) -> float | None:
        return None

    def begin_drain(self) -> None:
        """Children finish by themselves; `server_close()` waits for them."""


def _reaper_of(server: ForkingMixIn) -> Reaper:
    state = state_of(server)
    if state.reaper is None:
        state.reaper = Reaper()
    return state.reaper


def _detach_reaper(server: ForkingMixIn) -> Reaper | None:
    """Remove the reaper from the server, and return it."""
    state = state_of(server)
    reaper, state.reaper = state.reaper, None
    return reaper


def _is_full(server: ForkingMixIn) -> bool:
    return len(server.active_children or ()) >= max(1, server.max_children)


def _collect(server: ForkingMixIn, timeout: float | None) -> None:
    """Reap the children that have ended; wait at most `timeout` seconds for one."""
    children = server.active_children
    if not children:
        return
    reaper = _reaper_of(server)
    for pid in list(children):
        if pid not in reaper:  # added by a subclass that calls fork() itself
            reaper.adopt(pid)
    for death in reaper.collect(timeout):
        children.discard(death.pid)


class _Threads(list[threading.Thread]):
    """The threads that `server_close()` waits for.

    Threads that have ended are dropped each time the list has doubled, so the amortised cost of
    appending is O(1), whatever the number of live threads.
    """

    _reap_at: int = 8

    def append(self, thread: threading.Thread) -> None:
        if len(self) >= self._reap_at:
            self.reap()
            self._reap_at = max(_Threads._reap_at, 2 * len(self))
        if not thread.daemon:
            super().append(thread)

    def pop_all(self) -> list[threading.Thread]:
        self[:], threads = [], self[:]
        return threads

    def join(self) -> None:
        """Wait for all threads except the calling one and those that were never started."""
        for thread in self.pop_all():
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join()

    def reap(self) -> None:
        self[:] = self._alive()

    def _alive(self) -> Iterator[threading.Thread]:
        return (thread for thread in self if thread.is_alive())


class _NoThreads:
    """A replacement for `_Threads` in a server that does not wait for its threads."""

    def append(self, thread: threading.Thread) -> None:
        pass

    def join(self) -> None:
        pass


class ThreadingMixIn(_Mixin):
    """Serves each request in its own thread.

    Class or instance variables, read when used: `daemon_threads` (whether a thread may be aborted
    when the program ends), `block_on_close` (whether `server_close()` waits for the threads that
    are not daemons).
    """

    daemon_threads: bool = False
    block_on_close: bool = True
    _threads: _Threads | _NoThreads = _NoThreads()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve the request in its thread; a thread pool may also call this."""
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the request."""
        if self.block_on_close:
            vars(self).setdefault("_threads", api._Threads())
        thread = api.threading.Thread(
            target=self.process_request_thread, args=(request, client_address)
        )
        thread.daemon = self.daemon_threads
        self._threads.append(thread)
        thread.start()

    def server_close(self) -> None:
        """Close the listener, then wait for the threads."""
        super().server_close()
        self._threads.join()
