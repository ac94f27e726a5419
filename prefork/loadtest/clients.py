"""Runs any number of clients in one process, with little work for each request."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import sys
import time
from typing import Any

from prefork.loadtest.processes import say
from prefork.loadtest.protocol import PATIENCE, BusyClock, Exchange, Measured, Order, Recorder

LARGEST_DATAGRAM = 1 << 16


class Client:
    """One exchange over its own socket: one request, one answer.

    Errors, from every method: `OSError`.
    """

    def __init__(self, address: Any, exchange: Exchange) -> None:
        self.began = time.perf_counter()
        self.received = 0
        self._exchange = exchange
        self._unsent: memoryview | None = memoryview(exchange.request)
        self._tail = b""
        kind = socket.SOCK_DGRAM if exchange.datagrams else socket.SOCK_STREAM
        self.sock = socket.socket(_family(address), kind)
        try:
            self.sock.settimeout(PATIENCE)
            if exchange.datagrams and self.sock.family == socket.AF_UNIX:
                self.sock.bind("")  # autobind, unix(7): the server could not answer otherwise
            self.sock.connect(address)
            self.sock.setblocking(False)
            with contextlib.suppress(OSError):  # an error is raised again in advance()
                self._send()
        except BaseException:
            self.sock.close()
            raise

    @property
    def waits_for(self) -> int:
        return select.EPOLLIN if self._unsent is None else select.EPOLLOUT

    def advance(self) -> bool:
        """Send or receive without blocking; return whether the answer has ended."""
        try:
            if self._unsent is not None:
                self._send()
                return False
            data = self.sock.recv(LARGEST_DATAGRAM if self._exchange.datagrams else 1 << 18)
        except BlockingIOError:
            return False
        self.received += len(data)
        if length := len(self._exchange.ends_with):
            self._tail = (self._tail + data)[-length:]
        return not data or self._exchange.datagrams

    def objection(self) -> str:
        """Return what is wrong with the answer; empty if it is correct."""
        if self._tail != self._exchange.ends_with:
            return "The answer was truncated."
        if not self.received and not self._exchange.may_be_empty:
            return "The connection was closed without an answer."
        return ""

    def _send(self) -> None:
        assert self._unsent is not None
        # Sending zero bytes to a server that has already closed the connection is an error.
        sent = self.sock.send(self._unsent) if self._unsent or self._exchange.datagrams else 0
        self._unsent = self._unsent[sent:] or None
        if self._unsent is None and self._exchange.half_close and not self._exchange.datagrams:
            self.sock.shutdown(socket.SHUT_WR)


def _family(address: Any) -> socket.AddressFamily:
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


class Crowd:
    """The exchanges in progress in this process."""

    def __init__(self, order: Order) -> None:
        self.recorder = Recorder.of(order)
        self._order = order
        self._open: dict[int, Client] = {}  # in the order in which they began
        self._poll = select.epoll()
        self._poll.register(0, select.EPOLLIN)

    def drive(self) -> Measured:
        """Execute the order.

        Errors: `SystemExit` if the command has exited.
        """
        clock = BusyClock()
        with self._poll:
            for _ in range(self._order.clients):
                self._begin()
            while self._open:
                for fd, _ in self._poll.poll(0.1):
                    if fd == 0:
                        raise SystemExit(1)
                    self._advance(self._open[fd])
                self._give_up_the_late()
        return self.recorder.measured(time.perf_counter(), clock.busy)

    def _begin(self) -> None:
        try:
            client = Client(self._order.address, self._order.exchange)
        except OSError as error:
            self.recorder.failed(in_words(error))
            return  # this client stops until the next order
        self._open[client.sock.fileno()] = client
        self._poll.register(client.sock, client.waits_for)

    def _advance(self, client: Client) -> None:
        try:
            if not client.advance():
                self._poll.modify(client.sock, client.waits_for)
                return
            objection = client.objection()
        except OSError as error:
            objection = in_words(error)
        now = time.perf_counter()
        if objection:
            self.recorder.failed(objection)
        else:
            self.recorder.served(client.began, now, client.received)
        self._end(client)
        if now < self.recorder.end and not self.recorder.is_hopeless:
            self._begin()

    def _give_up_the_late(self) -> None:
        latest = time.perf_counter() - PATIENCE
        while self._open and (client := next(iter(self._open.values()))).began <= latest:
            self._end(client)
            self.recorder.failed(
                f"There was no answer within {PATIENCE:g} s. Is the request complete, for example "
                "a line with \\n at its end?"
            )

    def _end(self, client: Client) -> None:
        del self._open[client.sock.fileno()]
        client.sock.close()  # which also removes it from the epoll


def in_words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "The server is no longer listening."
    if error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
        return (
            "The connection was reset: the handler may have closed it before reading all of the "
            "request."
        )
    return f"{error.strerror or error}."


def main() -> None:
    """Execute orders from standard input, one per line, and answer each with a line."""
    say(Measured().line(), 1)
    for line in sys.stdin:
        say(Crowd(Order.of(line)).drive().line(), 1)
