"""A pool whose requests are known beforehand, and whose workers note what each has taken.

    python -I dealt.py DECK NOTES [--workers N]

It prints its port. Each request takes the next `CARD` of the file DECK: to read moves a position
that all workers share (open(2) on open file descriptions), so no card is dealt twice. What it has
taken is added to the file NOTES, a `NOTE` for each, in the order in which they end: there are as
many notes as cards are dealt.
"""

from __future__ import annotations

import argparse
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).resolve().parent.parent))

from benchmarks.handlers import work
from benchmarks.serve import BACKLOG, announce
from prefork import BaseRequestHandler, PreforkTCPServer

CARD = struct.Struct("=qqd")
NOTE = struct.Struct("=dd")


class Card(NamedTuple):
    """What a request has to do: turns of `work()`, a wait in seconds, and turns again."""

    before: int
    after: int
    wait: float


class Note(NamedTuple):
    """What a request has taken, in seconds."""

    cpu: float
    """Of its worker, from the end of the request before."""
    wait: float
    """In its handler, without a core."""


class Dealt(BaseRequestHandler):
    def handle(self) -> None:
        data = self.request.recv(1024)
        card = Card(*CARD.unpack(os.read(self.server.deck, CARD.size)))
        work(card.before)
        if card.wait:
            time.sleep(card.wait)
        work(card.after)
        self.request.sendall(data)


class Server(PreforkTCPServer):
    request_queue_size = BACKLOG

    def __init__(self, deck: int, notes: int, workers: int) -> None:
        self.deck, self.notes, self.max_children = deck, notes, workers
        self.cpu = 0.0
        super().__init__(("127.0.0.1", 0), Dealt)

    def worker_started(self) -> None:
        self.cpu = time.thread_time()

    def finish_request(self, request: Any, client_address: Any) -> None:
        began, cpu = time.monotonic(), time.thread_time()
        super().finish_request(request, client_address)
        took, cpu_then = time.monotonic() - began, time.thread_time()
        os.write(self.notes, NOTE.pack(cpu_then - self.cpu, took - (cpu_then - cpu)))
        self.cpu = cpu_then


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("deck")
    parser.add_argument("notes")
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    deck = os.open(options.deck, os.O_RDONLY)
    notes = os.open(options.notes, os.O_WRONLY | os.O_APPEND)
    with Server(deck, notes, options.workers) as server:
        announce(server)
        server.serve_forever()


if __name__ == "__main__":
    main()
