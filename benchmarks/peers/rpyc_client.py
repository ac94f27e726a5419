"""The load generator for rpyc: a request is connect, one call, close. Prints what c/load prints.

    python -I rpyc_client.py PORT [--clients N] [--seconds S] [--requests N]

Its clients are threads. It limits the requests per second; the server's cost of a request can be
measured anyway.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import Counter

import rpyc

TEXT = "x" * 32


class RpycClients:
    """Clients that share a deadline, a limit and the counts."""

    def __init__(self, port: int, deadline: float, limit: int) -> None:
        self.port, self.deadline, self.limit = port, deadline, limit
        self.lock = threading.Lock()
        self.latencies: Counter[int] = Counter()
        self.begun = self.errors = self.in_time = 0

    def may_begin(self) -> bool:
        with self.lock:
            self.begun += 1
            return self.begun <= self.limit and time.monotonic() < self.deadline

    def client(self) -> None:
        while self.may_begin():
            began = time.monotonic_ns()
            try:
                connection = rpyc.connect("127.0.0.1", self.port)
                good = connection.root.echo(TEXT) == TEXT
                connection.close()
            except (OSError, EOFError):
                good = False
            took = time.monotonic_ns() - began
            with self.lock:
                if good:
                    self.latencies[took] += 1
                    self.in_time += time.monotonic() < self.deadline
                else:
                    self.errors += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--requests", type=int, default=1 << 60)
    parser.add_argument("--size", type=int, help="ignored: a request has 32 characters")
    options = parser.parse_args()
    began = time.monotonic()
    crowd = RpycClients(options.port, began + options.seconds, options.requests)
    threads = [threading.Thread(target=crowd.client) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    report = {
        "requests": crowd.latencies.total(),
        "errors": crowd.errors,
        "resent": 0,
        "seconds": seconds,
        "rate": crowd.in_time / min(seconds, options.seconds),
        "cpu": time.process_time(),
        "latencies": sorted(crowd.latencies.items()),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
