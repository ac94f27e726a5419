"""`PreforkMixIn`: a pool of worker processes under any server with the documented hooks."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prefork.linux.listeners import allow_siblings, has_pending
from prefork.linux.signal_mask import signals_blocked
from prefork.master.master import Master
from prefork.master.server_view import ServerInMaster
from prefork.master.strategies import strategy_of
from prefork.readings.backlog import NOTHING, total, waiting_at_most
from prefork.settings import Settings
from prefork.socketserver import loop
from prefork.socketserver.in_child import HandingOver
from prefork.socketserver.mixins import ForkingMixIn
from prefork.socketserver.pool.adapter import Adapter, is_documented, note_pool, plain_taker
from prefork.state.reports import WorkerStatus
from prefork.workers.in_flight import InFlight
from prefork.workers.sources.base import Serve

if TYPE_CHECKING:
    from prefork.state.snapshot import PoolReading

MOST_IN_A_TURN = 64
"""Requests handed over before the loop looks at the rest of its business again."""


class PreforkMixIn(ForkingMixIn):
    """Serves requests in a bounded pool of worker processes that are forked ahead.

    For the caller: the documented methods, `prefork_status()`, and `prefork_stop()`.

    May be overridden: the documented hooks, and `worker_started()`, `worker_promoted()`,
    `worker_leaving()`. With the strategies `accept` and `reuseport`, `get_request()`,
    `verify_request()`, `process_request()`, `finish_request()`, `handle_error()`,
    `shutdown_request()` and `close_request()` run in the workers; `server_bind()`,
    `server_activate()`, `service_actions()`, `handle_timeout()`, `shutdown()` and `server_close()`
    in the master. With `handoff`, the first two of the workers' run in the master; with `fork`, the
    first three.

    Variables, read when used: `max_children` (never more workers than this; may be changed while
    serving), `block_on_close` (whether `server_close()` waits for the workers),
    `request_queue_size` (the backlog), `prefork_settings`. `active_children` is the set of the
    workers' pids.

    Nothing is forked before `serve_forever()` or `handle_request()`; after either has ended, and
    before the listener closes, the workers serve what waits in its backlog. What a worker changes
    in memory stays in that worker.

    Over a server with `ThreadingMixIn`, each worker serves its requests in threads.
    """

    request_queue_size: int = 1024
    prefork_settings: Settings = Settings()

    def worker_started(self) -> None:
        """Called in each new worker before its first request: the place to open connections.

        What requests are taken by (`get_request()`, the socket) is settled by then.

        An exception ends the worker; it is replaced later and later (`1.5^n` seconds). If no worker
        of the first generation gets through, `serve_forever()` raises `StartError`.
        """

    def worker_promoted(self) -> None:
        """Called, with `fork_from = "mold"`, in a process that was forked from a warm worker.

        It serves no request; the next workers are forked from it. The place to close what they must
        not share with each other and with that worker: connections, above all. Each of them runs
        `worker_started()`. An exception refuses: the workers stay as they are.
        """

    def worker_leaving(self) -> None:
        """Called in each worker that leaves by itself, after its last request."""

    def prefork_status(self) -> list[WorkerStatus]:
        """What every worker is doing now, in the order of their slots."""
        master = master_of(self)
        return [] if master is None else master.status()

    def prefork_reading(self) -> PoolReading:
        """What the pool has done until now, and what waits: two of these make an advice.

        For `prefork.advice.advise()`. It is there in the master's process, in any thread; it takes
        some milliseconds, most of them for the memory of each worker. In other processes, and
        before the pool has begun, there is nothing in it.
        """
        # Only for those who ask: every fork has its memory to copy.
        from prefork.readings.snapshot import read_pool

        master = master_of(self)
        waiting = NOTHING if master is None else total(master.strategy.listening())
        threads = self.prefork_settings.threads if self._prefork_has_threads() else None
        return read_pool(self.prefork_status(), waiting, max(1, int(self.max_children)), threads)

    def prefork_stop(self, *, force: bool = False) -> None:
        """Ask a running loop to end, and return at once; the workers finish as after `shutdown()`.

        With `force`, every worker is killed (SIGKILL) at once, whatever it is serving.
        """
        if (run := vars(self).get("_BaseServer__run")) is not None:
            self._BaseServer__shutdown_request = True
            run.wakeup.notify()
        if force and (master := master_of(self)) is not None:
            master.kill("the server stops by force")

    def server_bind(self) -> None:
        """Bind; for the strategy `reuseport` so that its other listeners may have the port too."""
        if strategy_of(self.prefork_settings).has_siblings:
            with contextlib.suppress(OSError):  # said in a sentence when they are opened
                allow_siblings(self.fileno())
        note_pool(self)
        super().server_bind()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Keep the pool until `shutdown()`; see `BaseServer.serve_forever()`."""
        loop.serve_forever([self], poll_interval)

    def shutdown(self) -> None:
        """Stop `serve_forever()`; a handler may call it too, in its worker, and returns at once."""
        if (ask_stop := vars(self).get("_prefork_ask_stop")) is not None:
            ask_stop()
        else:
            loop.shutdown(self)

    def handle_request(self) -> Any:
        """Take one request and give it to a worker forked for it."""
        threads: set[int] = vars(self).setdefault("_prefork_single", set())
        threads.add(threading.get_ident())
        try:
            return loop.handle_request(self)
        finally:
            threads.discard(threading.get_ident())

    def process_request(self, request: Any, client_address: Any) -> None:
        if (serve := vars(self).get("_prefork_serve")) is not None:
            serve(self, request, client_address)
            return
        self.__dispatch(request, client_address)

    def collect_children(self, *, blocking: bool = False) -> None:
        """Reap the workers that have ended; with `blocking`, ask all to finish and wait."""
        master = master_of(self)
        if master is None:
            return
        master.collect()
        if blocking:
            master.begin_drain()
            master.wait()

    def service_actions(self) -> None:
        """Reap, and then what the server below has to do at each wake-up."""
        self.collect_children()
        super(ForkingMixIn, self).service_actions()

    def handle_timeout(self) -> Any:
        self.collect_children()
        return super(ForkingMixIn, self).handle_timeout()

    def server_close(self) -> None:
        """Serve what waits in the backlog, close the listener, and wait for the workers.

        The wait is left out when `block_on_close` is false; `prefork_settings.graceful_timeout`
        bounds it.
        """
        master = master_of(self)
        if master is not None:
            try:
                master.drain()
                self.__serve_backlog(master)
                if master.strategy.workers_take:
                    # Before the listener closes: should a worker die on a request, the next one
                    # serves those who wait behind it.
                    self.collect_children(blocking=self.block_on_close)
                    master.send_drainers()
            except BaseException:
                super(ForkingMixIn, self).server_close()  # without another wait
                raise
        super().server_close()
        if master is not None and master.close():
            vars(self).pop("_prefork_master", None)

    def _prefork_in_master(self) -> ServerInMaster:
        return Adapter(self)

    def _prefork_processes(self, persistent: bool) -> loop.Processes:
        return _Persistent(self.__master()) if persistent else _Single(self.__master())

    def _prefork_enter_worker(
        self, in_flight: InFlight | None, ask_stop: Callable[[], object]
    ) -> None:
        state = vars(self)
        state["_prefork_ask_stop"] = ask_stop
        serve = state["_prefork_serve"] = without_processes(type(self)).process_request
        if type(self).process_request is PreforkMixIn.process_request:
            state.setdefault("process_request", serve.__get__(self))
        state["active_children"] = None
        if in_flight is not None:
            count_in(self, in_flight)

    def _prefork_leave_worker(self) -> None:
        count_no_more(self)

    def _prefork_has_threads(self) -> bool:
        return has_threads(self)

    def _handle_request_noblock(self) -> None:
        """Take the request that waits, and bring it to a worker; with `handoff`, those behind it
        as well."""
        master = self.__master()
        if not master.strategy.hands_over:
            loop.handle_waiting_request(self, self.process_request)
            return
        take = plain_taker(self)
        # No code of the program's runs in between then, and no signal has to wait for it.
        hooks = "verify_request", "close_request"
        undisturbed = take is not None and all(is_documented(self, hook) for hook in hooks)
        with signals_blocked() if undisturbed else contextlib.nullcontext():
            for _ in range(1 if take is None else MOST_IN_A_TURN):
                taken = loop.handle_waiting_request(self, self.__dispatch, take)
                if not taken or self._BaseServer__shutdown_request or not master.can_take_more():
                    break

    def __dispatch(self, request: Any, client_address: Any) -> None:
        with HandingOver(self, request):
            self.__master().dispatch(request, client_address)

    def __master(self) -> Master:
        if (master := master_of(self)) is None:
            master = vars(self)["_prefork_master"] = Master(self._prefork_in_master())
        return master

    def __serve_backlog(self, master: Master) -> None:
        """Where no worker stands ready to do it, the master takes what waits."""
        if master.strategy.workers_take:
            return
        # A second time, for those who came meanwhile; but not for ever.
        for _ in range(2):
            listeners = master.strategy.server.listeners()
            most = sum(waiting_at_most(one.fileno(), one.backlog()) for one in listeners)
            for _ in range(most):
                if master.forced or not has_pending(one.fileno() for one in listeners):
                    return
                self._handle_request_noblock()


def master_of(server: Any) -> Master | None:
    """The master of a pool server; `None` before its first worker, and once all is closed."""
    master: Master | None = vars(server).get("_prefork_master")
    return master


def without_processes(kind: type[PreforkMixIn]) -> Any:
    """The class whose `process_request()` is what the server would do without processes."""
    kinds = kind.__mro__
    library = sys.modules.get("socketserver")
    forking = getattr(library, "ForkingMixIn", None)
    below = kinds[kinds.index(ForkingMixIn) + 1 :]
    return next(k for k in below if "process_request" in vars(k) and k is not forking)


def has_threads(server: Any) -> bool:
    """Whether it serves its requests in threads."""
    # By the method: the standard library's ThreadingMixIn counts as well.
    # A pool's own subclasses may well define the method that threads run, and have no threads.
    others = (kind for kind in type(server).__mro__ if not issubclass(kind, PreforkMixIn))
    return any(
        "process_request" in vars(kind) and hasattr(kind, "process_request_thread")
        for kind in others
    )


COUNTED = ("process_request", "process_request_thread")


def count_in(server: Any, in_flight: InFlight) -> None:
    """Count each request in flight from when it is taken until it is served."""
    # In the instance, so that whatever a subclass does in its own is counted.
    state = vars(server)
    state["_prefork_uncounted"] = {name: state.get(name) for name in COUNTED}
    if has_threads(server):
        state["process_request"] = entering(server.process_request, in_flight)
        state["process_request_thread"] = leaving(server.process_request_thread, in_flight)
    else:
        state["process_request"] = leaving(server.process_request, in_flight)


def count_no_more(server: Any) -> None:
    """Put back what `count_in()` has changed: the workers forked from this process do it anew."""
    state = vars(server)
    for name, before in state.pop("_prefork_uncounted", {}).items():
        state.pop(name, None)
        if before is not None:
            state[name] = before


def entering(serve: Serve, in_flight: InFlight) -> Serve:
    """`process_request()` that counts a request in; the thread that it starts counts it out."""

    def process_request(request: Any, client_address: Any) -> None:
        in_flight.enter(id(request), client_address)
        try:
            serve(request, client_address)
        except BaseException:
            in_flight.leave(id(request))
            raise

    return process_request


def leaving(serve: Serve, in_flight: InFlight) -> Serve:
    """What serves a request to its end, such that it leaves the in_flight then."""

    def serve_and_leave(request: Any, client_address: Any) -> None:
        # Entered already, but for the threads of a program that bring requests here themselves.
        in_flight.enter(id(request), client_address)
        try:
            serve(request, client_address)
        finally:
            in_flight.leave(id(request))

    return serve_and_leave


class _Single:
    """The master as the loop wants it for one request: a worker is forked when that has come."""

    def __init__(self, master: Master) -> None:
        self.master = master

    def fileno(self) -> int:
        return self.master.fileno()

    def tick(self) -> None:
        self.master.collect()

    def wants_listener(self) -> bool:
        return self.master.has_room()

    def next_timeout(self) -> float | None:
        return self.master.next_timeout()

    def begin_drain(self) -> None:
        self.master.begin_drain()


class _Persistent(_Single):
    """The same for `serve_forever()`: the master keeps the pool at its size."""

    _started = False

    def tick(self) -> None:
        if not self._started:
            self._started = True
            self.master.start()
        self.master.tick()

    def wants_listener(self) -> bool:
        return self.master.wants_listener()
