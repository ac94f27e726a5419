"""The handlers of the measured servers, as mix-ins: the base class is the standard library's or
prefork's. This module imports only the standard library."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import Any, BinaryIO


class EchoOnce:
    """Send back what was received: the documented example."""

    request: socket.socket

    def handle(self) -> None:
        self.request.sendall(self.request.recv(1024))


class TellPid:
    """Send the process ID of the worker, without reading: the worker never waits for the client."""

    request: socket.socket

    def handle(self) -> None:
        self.request.sendall(b"%d" % os.getpid())


class Burn:
    """Echo, with work in between that keeps the interpreter and a core busy."""

    request: socket.socket
    loops: int

    def handle(self) -> None:
        data = self.request.recv(1024)
        work(self.loops)
        self.request.sendall(data)


class Wait:
    """Echo, with a wait in between, as for a database."""

    request: socket.socket
    seconds: float

    def handle(self) -> None:
        data = self.request.recv(1024)
        time.sleep(self.seconds)
        self.request.sendall(data)


class LargeAnswer:
    """Answer a short request with a large answer."""

    request: socket.socket
    answer: bytes

    def handle(self) -> None:
        self.request.recv(1024)
        self.request.sendall(self.answer)


class EchoLines:
    """Send back each line, until the client closes the connection."""

    rfile: BinaryIO
    wfile: BinaryIO

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


class EchoStream:
    """Send back all that is received, without file objects, until the client closes."""

    request: socket.socket

    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


class EchoDatagram:
    """Send a datagram back: the documented example."""

    request: tuple[bytes, socket.socket]
    client_address: Any

    def handle(self) -> None:
        data, answering = self.request
        answering.sendto(data, self.client_address)


def work(loops: int) -> int:
    """Keep a core busy."""
    total = 0
    for number in range(loops):
        total = (total * 31 + number) & 0xFFFF
    return total


@dataclass(frozen=True)
class HandlerSpec:
    """A handler, and the documented classes that it needs, by their names in a module."""

    mixin: type
    base: str = "BaseRequestHandler"
    transport: str = "TCP"


HANDLERS = {
    "echo": HandlerSpec(EchoOnce),
    "pid": HandlerSpec(TellPid),
    "burn": HandlerSpec(Burn),
    "wait": HandlerSpec(Wait),
    "large": HandlerSpec(LargeAnswer),
    "lines": HandlerSpec(EchoLines, base="StreamRequestHandler"),
    "stream": HandlerSpec(EchoStream),
    "datagram": HandlerSpec(EchoDatagram, transport="UDP"),
}
