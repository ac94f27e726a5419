"""Requests that the master has taken and sends over the channel."""

from __future__ import annotations

import contextlib
import os
import select
from collections import deque
from typing import Any

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.completions import Completions
from prefork.workers.protocol.messages import Kind, Message, PackedRequest
from prefork.workers.server_in_worker import ServerInWorker
from prefork.workers.sources.base import Serve, WorkerPoller


class HandoffSource:
    """Takes the requests that the master hands over through the channel.

    The worker reports each served request to `completions`, just before it waits for the next one.
    It does not report the request with which it reaches its limit, so the master sends no more.
    """

    at_once = True

    def __init__(
        self,
        server: ServerInWorker,
        channel: Channel,
        in_flight: InFlight | None,
        completions: Completions,
    ) -> None:
        # If no descriptor were left, the worker would lose every request: better to fail now.
        os.close(os.dup(channel.fileno()))
        server.release_listener()
        self._server = server
        self._channel = channel
        self._completions = completions
        self._pid = os.getpid()
        self._poller = WorkerPoller(channel, in_flight)
        self._poll = self._poller.epoll.poll
        self._only_the_channel = [(channel.fileno(), select.EPOLLIN)]
        self._held: deque[PackedRequest] = deque()
        self._orders: deque[Message | None] = deque()
        self._unreported = False  # whether a request is served that is not reported yet
        self.serve: Serve = self._serve_alone
        if in_flight is not None:
            in_flight.on_finished = self._report_done
            self.serve = server.serve_verified

    def take(self) -> tuple[Any, Any]:
        try:
            return self._server.unpack(*self._held.popleft())
        except OSError:
            # No descriptor was left for it: the next request would be lost as well.
            self._channel.send_surely(Message(Kind.LEAVING))
            raise

    def wait(self, timeout: float | None) -> bool:
        if self._unreported:
            self._report_done()
        if not self._held:
            if self._poll(timeout) != self._only_the_channel:
                self._poller.clear_finished()
            try:
                self._sort(self._channel.receive())
            except BlockingIOError:
                return False
        return bool(self._held)

    def has_pending(self) -> bool:
        return bool(self._held)

    def wait_for_others(self, timeout: float | None) -> None:
        self._poller.wait(timeout)

    def next_order(self) -> Message | None:
        while not self._orders:
            self._sort(self._channel.receive())
        return self._orders.popleft()

    def may_leave(self) -> bool:
        self._unreported = False
        self._channel.send(Message(Kind.LEAVING))
        return False

    def holds_some(self) -> bool:
        return bool(self._held)

    def close_in_child(self) -> None:
        self._poller.close_in_child()
        for _, fd in self._held:
            if fd is not None:
                os.close(fd)
        self._held.clear()

    def _sort(self, message: Message | None) -> None:
        if message is not None and message.kind is Kind.TAKE:
            self._held.append((message.body, message.fd))
        else:
            self._orders.append(message)

    def _serve_alone(self, request: Any, client_address: Any) -> None:
        self._server.serve_verified(request, client_address)
        self._unreported = True

    def _report_done(self) -> None:
        self._unreported = False
        with contextlib.suppress(BrokenPipeError):  # the channel shows that the master has exited
            self._completions.report(self._pid)
