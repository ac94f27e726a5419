"""What the tests have the command serve; imported by the command, not by the tests."""

import os
import socket
import socketserver
import time
from typing import Any, ClassVar

import prefork
from tests.support.announcements import Gate, Told


def told() -> Told:
    channel = Told.__new__(Told)
    channel._writer = int(os.environ["TOLD"])
    return channel


def gate() -> Gate:
    barrier = Gate.__new__(Gate)
    barrier._counter = int(os.environ["GATE"])
    return barrier


class Echo(socketserver.StreamRequestHandler):
    """Says which process has served, and what it was sent."""

    def handle(self) -> None:
        self.wfile.write(b"%d %s" % (os.getpid(), self.rfile.read()))


class Upper(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.read().upper())


class AtGate(socketserver.BaseRequestHandler):
    """Says that it has begun, and waits until the test lets it pass."""

    def handle(self) -> None:
        told().say("entered", os.getpid())
        gate().wait()
        self.request.sendall(b"served")


class PoolOnly(Echo):
    """Needs what the standard library's servers do not have."""

    def handle(self) -> None:
        pool: Any = self.server
        pool.prefork_status()
        super().handle()


class AsleepForAWhile(socketserver.StreamRequestHandler):
    """Waits, as for a slow database: for longer than a busy machine delays a request."""

    def handle(self) -> None:
        self.rfile.read()
        time.sleep(0.05)
        self.wfile.write(b"served")


class Tires(AsleepForAWhile):
    """Serves one request in each process, and fails from then on."""

    served = 0

    def handle(self) -> None:
        Tires.served += 1
        if Tires.served > 1:
            self.rfile.read()
            raise ValueError("as the test wanted")
        super().handle()


def die(request: Any, client_address: Any, server: Any) -> None:
    request.recv(1)
    os._exit(3)


def ask(address: Any) -> None:
    """A client of `Echo`."""
    with socket.create_connection(address) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100).endswith(b"hello")


def ask_in_vain(address: Any) -> None:
    print("on standard output")
    raise LookupError("nobody is pleased with the answer")


def deaf(request: Any, client_address: Any, server: Any) -> None:
    pass


def stop(request: Any, client_address: Any, server: Any) -> None:
    request.sendall(b"served")
    server.shutdown()


def noisy(request: Any, client_address: Any, server: Any) -> None:
    request.recv(1)
    raise ValueError("as the test wanted")


class Server(socketserver.TCPServer):
    """A server class of the standard library's kind, which knows its handler."""

    RequestHandlerClass = Echo
    max_children = 1


class Bare(socketserver.TCPServer):
    """One that has to be given a handler."""


class OwnPool(prefork.PreforkTCPServer):
    RequestHandlerClass = Echo
    max_children = 1
    prefork_settings = prefork.Settings(name="own", max_requests=1)


class CannotStart(prefork.PreforkTCPServer):
    RequestHandlerClass = Echo

    def worker_started(self) -> None:
        raise RuntimeError("there is no database")


class SecondCannotStart(CannotStart):
    """Of several pools all but the first."""

    bound: ClassVar[list[object]] = []

    def server_bind(self) -> None:
        super().server_bind()
        self.bound.append(self)

    def worker_started(self) -> None:
        if self is not self.bound[0]:
            super().worker_started()


class Broken(socketserver.TCPServer):
    def __init__(self, address: Any) -> None:
        raise LookupError("no licence")


not_callable = "a text"
