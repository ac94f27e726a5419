"""`PreforkMixIn`: a pool of worker processes for any server with the documented hooks."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prefork.linux.listening_sockets import allow_siblings
from prefork.linux.signal_mask import signals_blocked
from prefork.master.master import Master
from prefork.master.server_in_master import ServerInMaster
from prefork.master.strategies import strategy_of
from prefork.readings.backlog import NOTHING, total
from prefork.settings import Settings
from prefork.socketserver import loop
from prefork.socketserver.in_child import HandingOver
from prefork.socketserver.mixins import ForkingMixIn
from prefork.socketserver.pool.adapter import Adapter, note_pool
from prefork.socketserver.pool.counting import has_threads, start_counting, stop_counting
from prefork.socketserver.pool.processes import OneRequest, UntilShutdown
from prefork.socketserver.pool.taking import is_documented, plain_taker
from prefork.socketserver.state import WorkerState, state_of
from prefork.state.worker_status import WorkerStatus
from prefork.workers.in_flight import InFlight

if TYPE_CHECKING:
    from prefork.state.snapshot import PoolReading

MOST_IN_A_TICK = 64
"""Maximum number of requests that are handed over before the loop checks everything else again."""


class PreforkMixIn(ForkingMixIn):
    """Serves requests in a bounded pool of worker processes that are forked in advance.

    For the caller: the documented methods, `prefork_status()`, and `prefork_stop()`.

    May be overridden: the documented hooks, and `worker_started()`, `worker_promoted()`,
    `worker_leaving()`. With the strategies `accept` and `reuseport`, `get_request()`,
    `verify_request()`, `process_request()`, `finish_request()`, `handle_error()`,
    `shutdown_request()` and `close_request()` run in the workers; `server_bind()`,
    `server_activate()`, `service_actions()`, `handle_timeout()`, `shutdown()` and `server_close()`
    in the master. With `handoff`, `get_request()` and `verify_request()` run in the master; with
    `fork`, `process_request()` as well.

    Variables, read when used: `max_children` (maximum number of workers; may be changed while
    serving), `block_on_close` (whether `server_close()` waits for the workers),
    `request_queue_size` (the backlog), `prefork_settings`. `active_children` is the set of the
    workers' pids.

    Nothing is forked before `serve_forever()` or `handle_request()`. After either has ended, the
    workers serve what waits in the backlog before the listener is closed. What a worker changes in
    memory is visible only in that worker.

    If it is combined with a server with `ThreadingMixIn`, each worker serves its requests in
    threads.
    """

    request_queue_size: int = 1024
    prefork_settings: Settings = Settings()

    def worker_started(self) -> None:
        """Set up a new worker before its first request, for example open connections.

        What takes requests (`get_request()`, the socket) must be set before this call.

        An exception ends the worker, which is replaced after `1.5^n` seconds for the n-th failure
        in a row. If no worker of the first generation becomes ready, `serve_forever()` raises
        `StartError`.
        """

    def worker_promoted(self) -> None:
        """Set up a mold, a process that was forked from a warm worker (`fork_from = "mold"`).

        A mold serves no requests; the next workers are forked from it, and each calls
        `worker_started()`. Close here what they must not share with each other or with that worker,
        above all connections. If this raises an exception, the mold is not used, and the present
        workers stay.
        """

    def worker_leaving(self) -> None:
        """Clean up in a worker that exits on its own, after its last request."""

    def prefork_status(self) -> list[WorkerStatus]:
        """Return what every worker is doing now, in the order of their slots."""
        master = master_of(self)
        return [] if master is None else master.status()

    def prefork_reading(self) -> PoolReading:
        """Return what the pool has done so far and what waits; see `prefork.advice.advise()`.

        Advice is computed from two readings. This may be called in any thread of the master, and
        takes some milliseconds, mostly to read the memory of each worker. In other processes, and
        before the pool has started, the reading contains no workers.
        """
        # Loaded only when it is used, because every fork copies its memory.
        from prefork.readings.pool_reading import read_pool

        master = master_of(self)
        waiting = NOTHING if master is None else total(master.strategy.listeners.fds())
        most = max(1, int(self.max_children))
        return read_pool(self.prefork_status(), waiting, most, self.prefork_threads())

    def prefork_threads(self) -> int | None:
        """Return the number of requests that a worker serves at once in threads, 0 for no limit.

        `None` for a server without threads.
        """
        return self.prefork_settings.threads if has_threads(self) else None

    def prefork_is_complete(self) -> bool:
        """Return whether all persistent workers are ready, and there are not more than planned."""
        master = master_of(self)
        return master is not None and master.is_complete()

    def prefork_aborted(self) -> int | None:
        """Return the number of requests that were aborted when the last run's workers were killed.

        `None` if no worker was killed, neither by a forced stop nor at the `graceful_timeout`.
        """
        master = master_of(self)
        if master is None:
            return state_of(self).aborted
        return master.aborted if master.is_forced else None

    def prefork_stop(self, *, force: bool = False) -> None:
        """Ask a running loop to end, and return at once; the workers finish as after `shutdown()`.

        With `force`, every worker is killed (SIGKILL) at once, whatever it is serving. May be
        called in a signal handler. In a worker, the master is asked to stop, as by `shutdown()`.
        """
        if (worker := state_of(self).worker) is not None:
            worker.ask_stop()
            return
        if (run := state_of(self).run) is not None:
            self._BaseServer__shutdown_request = True
            run.wakeup.notify()
        if force and (master := master_of(self)) is not None:
            master.force_stop()

    def server_bind(self) -> None:
        """Bind the socket; with `reuseport`, so that other listeners can share the port."""
        if strategy_of(self.prefork_settings).has_siblings:
            with contextlib.suppress(OSError):  # reported when the listeners are opened
                allow_siblings(self.fileno())
        note_pool(self)
        super().server_bind()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Maintain the pool and serve until `shutdown()`; see `BaseServer.serve_forever()`."""
        loop.serve_forever([self], poll_interval)

    def shutdown(self) -> None:
        """Stop `serve_forever()` and wait until it has ended; in a worker, only ask for it."""
        if (worker := state_of(self).worker) is not None:
            worker.ask_stop()
        else:
            loop.shutdown(self)

    def handle_request(self) -> Any:
        """Take one request and fork a worker for it."""
        threads = state_of(self).one_request_threads
        threads.add(threading.get_ident())
        try:
            return loop.handle_request(self)
        finally:
            threads.discard(threading.get_ident())

    def process_request(self, request: Any, client_address: Any) -> None:
        if (worker := state_of(self).worker) is not None:
            worker.serve(self, request, client_address)
            return
        self.__dispatch(request, client_address)

    def collect_children(self, *, blocking: bool = False) -> None:
        """Reap the workers that have exited; with `blocking`, ask all to finish, and wait."""
        master = master_of(self)
        if master is None:
            return
        master.collect()
        if blocking:
            master.begin_drain()
            master.wait()

    def service_actions(self) -> None:
        """Reap workers, then call `service_actions()` of the next class."""
        self.collect_children()
        super(ForkingMixIn, self).service_actions()

    def handle_timeout(self) -> Any:
        self.collect_children()
        return super(ForkingMixIn, self).handle_timeout()

    def server_close(self) -> None:
        """Serve what waits in the backlog, close the listener, and wait for the workers.

        Does not wait when `block_on_close` is false; `prefork_settings.graceful_timeout` bounds the
        wait.
        """
        master = master_of(self)
        if master is not None:
            try:
                master.drain()
                self.__serve_backlog(master)
                if master.strategy.workers_take:
                    # Before the listener closes: if a worker dies on a request, a new one serves
                    # the connections that wait behind it.
                    self.collect_children(blocking=self.block_on_close)
                    master.send_drainers()
            except BaseException:
                super(ForkingMixIn, self).server_close()  # without waiting again
                raise
        super().server_close()
        if master is not None and master.close():
            state = state_of(self)
            state.master, state.aborted = None, master.aborted if master.is_forced else None

    def _prefork_members(self) -> Sequence[Any]:
        return (self,)

    def _prefork_in_master(self) -> ServerInMaster:
        return Adapter(self)

    def _prefork_processes(self, persistent: bool) -> loop.Processes:
        return UntilShutdown(self.__master()) if persistent else OneRequest(self.__master())

    def _prefork_enter_worker(
        self, in_flight: InFlight | None, ask_stop: Callable[[], object]
    ) -> None:
        serve = without_processes(type(self)).process_request
        state_of(self).worker = WorkerState(serve, ask_stop)
        if type(self).process_request is PreforkMixIn.process_request:
            vars(self).setdefault("process_request", serve.__get__(self))
        self.active_children = None
        if in_flight is not None:
            start_counting(self, in_flight)

    def _prefork_leave_worker(self) -> None:
        stop_counting(self)

    def _handle_request_noblock(self) -> None:
        """Take the request that is waiting, and hand it to a worker.

        With `handoff`, this also takes the requests behind it.
        """
        master = self.__master()
        if not master.strategy.hands_over:
            loop.handle_waiting_request(self, self.process_request)
            return
        take = plain_taker(self)
        # If true, no code of the program, which could delay a signal, runs in the block.
        hooks = "verify_request", "close_request"
        undisturbed = take is not None and all(is_documented(self, hook) for hook in hooks)
        with signals_blocked() if undisturbed else contextlib.nullcontext():
            for _ in range(1 if take is None else MOST_IN_A_TICK):
                taken = loop.handle_waiting_request(self, self.__dispatch, take)
                if not taken or self._BaseServer__shutdown_request or not master.can_take_more():
                    break

    def __dispatch(self, request: Any, client_address: Any) -> None:
        with HandingOver(self, request):
            self.__master().dispatch(request, client_address)

    def __master(self) -> Master:
        if (master := master_of(self)) is None:
            master = state_of(self).master = Master(self._prefork_in_master())
        return master

    def __serve_backlog(self, master: Master) -> None:
        """Take what waits in the backlog, if the workers do not take it themselves."""
        if master.strategy.workers_take:
            return
        # Twice, for connections that arrive during the first pass; but not without limit.
        for _ in range(2):
            listeners = master.strategy.listeners
            for _ in range(listeners.waiting_at_most()):
                if master.is_forced or not listeners.has_pending():
                    return
                self._handle_request_noblock()


def master_of(server: Any) -> Master | None:
    """Return the master of a pool; `None` before its first worker and after it is closed."""
    return state_of(server).master


def without_processes(kind: type[PreforkMixIn]) -> Any:
    """Return the class whose `process_request()` the server would call if it had no processes."""
    kinds = kind.__mro__
    library = sys.modules.get("socketserver")
    forking = getattr(library, "ForkingMixIn", None)
    below = kinds[kinds.index(ForkingMixIn) + 1 :]
    return next(k for k in below if "process_request" in vars(k) and k is not forking)
