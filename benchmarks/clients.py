"""Clients in Python, for measurements that count who served; the load generator is for the rest."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

DEADLINE = 30.0


@dataclass(frozen=True)
class Answer:
    """One connection's end."""

    pid: int
    """Which process served."""
    seconds: float
    """Since the request was due."""


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), DEADLINE)


def ask(port: int, due: float) -> Answer:
    """Connect and read until the end: the pid of who served."""
    with connect(port) as connection:
        said = b""
        while more := connection.recv(64):
            said += more
    return Answer(int(said), time.monotonic() - due)


def one_after_another(port: int, count: int, pause: float) -> Iterator[Answer]:
    """So many requests, each after the last one's end and a pause."""
    for _ in range(count):
        time.sleep(pause)
        yield ask(port, time.monotonic())


def paced(port: int, count: int, interval: float) -> Iterator[Answer]:
    """A request every so many seconds. What one comes late because of the last one is its
    latency too: the client that it stands for would not have waited with its request."""
    began = time.monotonic()
    for number in range(count):
        due = began + number * interval
        time.sleep(max(0.0, due - time.monotonic()))
        yield ask(port, due)
