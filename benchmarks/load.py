"""The load generator, run and heard: how often a server answered, and how soon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.build import program

RPYC_CLIENT = Path(__file__).resolve().parent / "peers" / "rpyc_client.py"
GENERATORS = max(1, len(os.sched_getaffinity(0)) // 2)
"""So many processes share the clients, if these go on when they are answered."""
GRACE = 60.0  # seconds more than asked for, for the load generator to end by itself

Counts = list[tuple[int, int]]
"""Latencies in nanoseconds, and how many requests took so long."""


class LoadFailed(RuntimeError):
    """The load generator did not do what it was asked; what it had to say is on standard error."""


@dataclass(frozen=True)
class Load:
    """What a request is, and when a client sends the next one. Times in seconds."""

    kind: str = "connection"
    """`connection`, `lines`, `datagram`, `large`, `http`, as c/load/load.c explains; `rpyc`: a call
    on a connection of its own."""
    size: int = 32
    """Bytes; of the request, of the answer where that is large."""
    reconnect: int = 0
    """With `lines`: a new connection after so many; 0 for never."""
    think: float = 0.0
    """A pause after an answer, on average; its length is random."""
    uneven: bool = False
    """Whether clients differ in their pauses: the first makes none, the last makes long ones."""
    every: float = 0.0
    """A pace: a request is due so often, whatever becomes of the others; 0: when answered."""
    times: str = ""
    """The same at given times: a file with the seconds from the beginning, a line each."""

    @property
    def paced(self) -> bool:
        """Whether requests are due at times that do not depend on answers."""
        return bool(self.every or self.times)

    @property
    def runs_free(self) -> bool:
        """Whether the clients go on as soon as they are answered."""
        return not self.think and not self.paced

    def command(self, port: int, clients: int, seconds: float, requests: int | None) -> list[str]:
        known = {
            "clients": clients,
            "seconds": seconds,
            "requests": requests,
            "size": self.size,
            "reconnect": self.reconnect,
            "think": self.think * 1e3,
            "every": self.every * 1e3,
            "times": self.times,
        }
        options = [f"--{name}={value}" for name, value in known.items() if value]
        if self.uneven:
            options.append("--uneven")
        if self.kind == "rpyc":
            return [sys.executable, "-I", str(RPYC_CLIENT), str(port), *options]
        return [str(program("load")), self.kind, str(port), *options]


ECHO = Load()


@dataclass(frozen=True)
class Answers:
    """What became of a load. Times in seconds."""

    requests: int
    """That were answered."""
    errors: int
    resent: int
    """Datagrams that were sent again."""
    seconds: float
    rate: float
    """Requests in a second, without those that were answered after the end."""
    cpu: float
    """Of the load generator."""
    latencies: Counts


def generate(
    load: Load, port: int, *, clients: int, seconds: float, requests: int | None = None
) -> Answers:
    """Put a server under load, until the time is over or so many requests were begun."""
    count = min(GENERATORS, clients) if load.runs_free and requests is None else 1
    shares = [clients // count + (n < clients % count) for n in range(count)]
    generators = [
        subprocess.Popen(load.command(port, share, seconds, requests), stdout=subprocess.PIPE)
        for share in shares
    ]
    try:
        said = [each.communicate(timeout=seconds + GRACE)[0] for each in generators]
    finally:
        for each in generators:
            each.kill()
            each.wait()
    if any(each.returncode for each in generators):
        raise LoadFailed(f"The load generator for {load.kind!r} failed.")
    return _together([Answers(**json.loads(text)) for text in said])


def _together(parts: list[Answers]) -> Answers:
    return Answers(
        requests=sum(each.requests for each in parts),
        errors=sum(each.errors for each in parts),
        resent=sum(each.resent for each in parts),
        seconds=max(each.seconds for each in parts),
        rate=sum(each.rate for each in parts),
        cpu=sum(each.cpu for each in parts),
        latencies=[pair for each in parts for pair in each.latencies],
    )
