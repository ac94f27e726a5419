"""Clients in Python, for measurements that need to know which process served each request.

All other measurements use the load generator, which is written in C.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

DEADLINE = 30.0


@dataclass(frozen=True)
class Reply:
    """The answer to one request."""

    pid: int
    """The process that served the request."""
    seconds: float
    """The time since the request was due."""


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), DEADLINE)


def ask(port: int, due: float) -> Reply:
    """Connect and read the process ID of the worker until the connection is closed."""
    with connect(port) as connection:
        received = b""
        while more := connection.recv(64):
            received += more
    return Reply(int(received), time.monotonic() - due)


def one_after_another(port: int, count: int, pause: float) -> Iterator[Reply]:
    """Send `count` requests, each `pause` seconds after the previous answer."""
    for _ in range(count):
        time.sleep(pause)
        yield ask(port, time.monotonic())


def paced(port: int, count: int, interval: float) -> Iterator[Reply]:
    """Send `count` requests, one every `interval` seconds.

    If a request is sent late because the previous one took too long, its time is counted from the
    moment when it was due: an independent client would not have waited.
    """
    began = time.monotonic()
    for number in range(count):
        due = began + number * interval
        time.sleep(max(0.0, due - time.monotonic()))
        yield ask(port, due)
