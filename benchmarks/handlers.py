"""The handlers of the servers that are measured, without their base class: the documented one or
ours. Standard library only."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import Any, BinaryIO


class Echo:
    """The documented example: what comes goes back."""

    request: socket.socket

    def handle(self) -> None:
        self.request.sendall(self.request.recv(1024))


class Pid:
    """Says which process serves; it asks for nothing, so it never waits for the client."""

    request: socket.socket

    def handle(self) -> None:
        self.request.sendall(b"%d" % os.getpid())


class Burn:
    """The same with work in between that keeps the interpreter, and a core, busy."""

    request: socket.socket
    loops: int

    def handle(self) -> None:
        data = self.request.recv(1024)
        work(self.loops)
        self.request.sendall(data)


class Wait:
    """The same with a wait in between, as for a database."""

    request: socket.socket
    seconds: float

    def handle(self) -> None:
        data = self.request.recv(1024)
        time.sleep(self.seconds)
        self.request.sendall(data)


class Large:
    """A short question, a long answer."""

    request: socket.socket
    answer: bytes

    def handle(self) -> None:
        self.request.recv(1024)
        self.request.sendall(self.answer)


class Lines:
    """Line after line goes back, until the client leaves."""

    rfile: BinaryIO
    wfile: BinaryIO

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


class Kept:
    """The same without file objects: whatever comes goes back, until the client leaves."""

    request: socket.socket

    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


class Datagram:
    """The documented example: the request is the datagram and a socket."""

    request: tuple[bytes, socket.socket]
    client_address: Any

    def handle(self) -> None:
        data, answering = self.request
        answering.sendto(data, self.client_address)


def work(loops: int) -> int:
    total = 0
    for number in range(loops):
        total = (total * 31 + number) & 0xFFFF
    return total


@dataclass(frozen=True)
class Service:
    """A handler, and the documented classes that go with it by the names they have in a module."""

    mixin: type
    base: str = "BaseRequestHandler"
    transport: str = "TCP"


SERVICES = {
    "echo": Service(Echo),
    "pid": Service(Pid),
    "burn": Service(Burn),
    "wait": Service(Wait),
    "large": Service(Large),
    "lines": Service(Lines, base="StreamRequestHandler"),
    "kept": Service(Kept),
    "datagram": Service(Datagram, transport="UDP"),
}
