"""The worker's loop: take a request, serve it, record it, until an order or a limit ends the loop.

`run()` contains everything that happens for each request. Orders end the same wait as requests do,
so they are read between two requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from prefork.workers.accept_errors import EXHAUSTED, EXHAUSTED_PAUSE, NO_LISTENER
from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.exit_codes import ExitCode, ProcessMain
from prefork.workers.protocol.messages import Kind, Message
from prefork.workers.protocol.scoreboard import Slot, State
from prefork.workers.server_in_worker import ServerInWorker, Taker
from prefork.workers.sources.base import Source
from prefork.workers.title import SOON, Title

logger = logging.getLogger("prefork")


class Loop:
    """The loop of one worker."""

    def __init__(
        self,
        server: ServerInWorker,
        source: Source,
        slot: Slot,
        channel: Channel,
        in_flight: InFlight | None,
        title: Title,
        max_requests: int,
        fork_mold: Callable[[Message], ProcessMain | None],
    ) -> None:
        self._server = server
        self._source = source
        self._slot = slot
        self._channel = channel
        self._in_flight = in_flight
        self._title = title
        self._max_requests = max_requests
        self._fork_mold = fork_mold
        self._left_to_drain: int | None = None
        self._leaving: ExitCode | ProcessMain | None = None
        self._when_retired = ExitCode.DONE
        self._exhausted = False
        self._patience: float | None = None

    def run(self) -> ExitCode | ProcessMain:
        """Serve until there is a reason to leave, and return that reason.

        This function also forks molds. In a mold, it returns the mold's main function.
        """
        wait, take, serve = self._source.wait, self._source.take, self._source.serve
        if self._in_flight is None and not self._source.at_once:
            take = self._busy_while(take)
        slot, in_flight, title = self._slot, self._in_flight, self._title
        stop_asked = self._server.stop_asked
        taken = 0
        slot.enter(State.IDLE)
        self._read_orders()
        self._patience = title.patience
        while self._leaving is None or self._source.holds_some():
            if self._left_to_drain is not None:
                if not self._source.has_pending():
                    self._leaving = ExitCode.DONE
                    continue
            elif not wait(self._patience):
                self._no_request()
                continue
            try:
                request, client_address = take()
            except OSError as error:
                self._not_taken(error)
                continue
            taken += 1
            if in_flight is None:
                now = slot.take(client_address)
                if now >= title.next_update:
                    title.show(now)
                serve(request, client_address)
                slot.done()
            else:
                serve(request, client_address)
                self._wait_for_capacity(in_flight)
            self._patience = title.patience
            if stop_asked():
                self._channel.send(Message(Kind.STOP))
            if self._left_to_drain is not None:
                self._drained_one()
            elif taken == self._max_requests:
                self._recycle()
        if in_flight is not None and not (
            in_flight.daemon_threads and self._left_to_drain is not None
        ):
            in_flight.wait_until_empty()
        return self._leaving

    def _busy_while(self, take: Taker) -> Taker:
        """Return a `take()` during which the worker counts as busy, with an unknown client."""

        def taking() -> tuple[Any, Any]:
            self._slot.take(None)
            try:
                return take()
            except BaseException:
                self._slot.enter(State.IDLE)
                raise

        return taking

    def _no_request(self) -> None:
        """Handle a wait that ended without a request: an order, a finished thread, or a timeout."""
        if self._title.enabled:
            # After a wait without limit something has changed: show it after a short idle time.
            self._patience = SOON if self._patience is None else self._title.settle()
        if self._server.stop_asked():  # asked by a thread that has just finished
            self._channel.send(Message(Kind.STOP))
        self._read_orders()

    def _not_taken(self, error: OSError) -> None:
        """Handle an error in taking a request.

        It is ignored if another worker was faster, the client left, or a handshake failed. If the
        process or the machine has run out of a resource, the worker pauses.

        Errors: `error` itself if the descriptor is no longer a listener.
        """
        if error.errno in NO_LISTENER:
            raise error
        if error.errno in EXHAUSTED:
            if not self._exhausted:
                logger.warning(
                    "A worker could not take a request: %s. Connections wait in the backlog; the "
                    "worker tries again every %g s.",
                    error,
                    EXHAUSTED_PAUSE,
                    extra={"event": "take_exhausted"},
                )
            self._exhausted = True
            self._source.wait_for_others(EXHAUSTED_PAUSE)
            self._read_orders()

    def _wait_for_capacity(self, in_flight: InFlight) -> None:
        while in_flight.full and self._leaving is None:
            if self._left_to_drain is None:
                self._source.wait_for_others(None)
                self._read_orders()
            else:
                in_flight.wait_for_finished()

    def _read_orders(self) -> None:
        while self._leaving is None and self._left_to_drain is None:
            try:
                message = self._source.next_order()
            except BlockingIOError:
                return
            if message is None:
                gone = not self._channel.hung_up
                self._leaving = ExitCode.ORPHANED if gone else ExitCode.TERMINATED
            elif message.kind is Kind.RETIRE:
                self._leaving = self._when_retired
            elif message.kind is Kind.DRAIN:
                self._left_to_drain = int(message.body)
            elif message.kind is Kind.FORK_MOLD:
                self._leaving = self._fork_mold(message)

    def _recycle(self) -> None:
        self._read_orders()  # an order to drain has precedence
        if self._leaving is None and self._left_to_drain is None:
            self._when_retired = ExitCode.RECYCLED
            if self._source.may_leave():
                self._leaving = ExitCode.RECYCLED

    def _drained_one(self) -> None:
        assert self._left_to_drain is not None
        self._left_to_drain -= 1
        if self._left_to_drain <= 0:
            self._leaving = ExitCode.DONE
