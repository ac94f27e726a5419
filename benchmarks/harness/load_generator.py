"""Runs the load generator and reads its report: answered requests, rate and latencies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.build import program
from benchmarks.harness.latencies import Latencies
from benchmarks.harness.paths import PEERS

RPYC_CLIENT = PEERS / "rpyc_client.py"
GENERATORS = max(1, len(os.sched_getaffinity(0)) // 2)
"""Number of processes that share the clients if each sends again as soon as it is answered."""
END_DEADLINE = 60.0
"""Seconds that the load generator is given to end, in addition to the planned ones."""


class LoadFailed(RuntimeError):
    """The load generator failed. Its own message is on standard error."""


@dataclass(frozen=True)
class Workload:
    """What a request is, and when a client sends the next one. Times in seconds."""

    kind: str = "connection"
    """`connection`, `lines`, `datagram`, `large` or `http`, as c/load/load.c explains; `rpyc`: one
    call on a connection of its own."""
    size: int = 32
    """Bytes of the request; for `large`, of the answer."""
    reconnect: int = 0
    """Number of requests on each connection (`lines`); 0 for no limit."""
    think: float = 0.0
    """The mean pause after an answer; its length is random."""
    uneven: bool = False
    """Whether the pauses differ from client to client, from none to twice the mean."""
    every: float = 0.0
    """A pace: the interval at which requests are due, answered or not; 0 for no pace."""
    times: str = ""
    """A pace of given times: a file with one time per line, in seconds from the beginning."""

    @property
    def paced(self) -> bool:
        """Whether requests are due at times that do not depend on answers."""
        return bool(self.every or self.times)

    @property
    def runs_free(self) -> bool:
        """Whether each client sends again as soon as it is answered."""
        return not self.think and not self.paced

    def command(self, port: int, clients: int, seconds: float, requests: int | None) -> list[str]:
        """Return the command line of the load generator."""
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


ECHO = Workload()


@dataclass(frozen=True)
class LoadReport:
    """How a load ended. Times in seconds."""

    requests: int
    """The number of answered requests."""
    errors: int
    resent: int
    """The number of datagrams that were sent again."""
    seconds: float
    rate: float
    """Requests per second, without those that were answered after the end."""
    cpu: float
    """CPU time of the load generator."""
    latencies: Latencies
    """The measured latencies, not corrected."""

    @classmethod
    def of(cls, text: bytes) -> LoadReport:
        """Read the line of JSON that a load generator prints."""
        printed: dict[str, Any] = json.loads(text)
        return cls(**printed | {"latencies": Latencies(printed["latencies"])})


def generate(
    workload: Workload, port: int, *, clients: int, seconds: float, requests: int | None = None
) -> LoadReport:
    """Put a server under load for some seconds, or until `requests` requests have begun.

    Errors: `LoadFailed`, `BuildError`.
    """
    count = min(GENERATORS, clients) if workload.runs_free and requests is None else 1
    shares = [clients // count + (n < clients % count) for n in range(count)]
    generators = [
        subprocess.Popen(workload.command(port, share, seconds, requests), stdout=subprocess.PIPE)
        for share in shares
    ]
    try:
        printed = [each.communicate(timeout=seconds + END_DEADLINE)[0] for each in generators]
    finally:
        for each in generators:
            each.kill()
            each.wait()
    if any(each.returncode for each in generators):
        raise LoadFailed(f"The load generator failed; the kind of request was {workload.kind!r}.")
    return _sum(list(map(LoadReport.of, printed)))


def corrected(report: LoadReport, workload: Workload) -> Latencies:
    """Return the latencies of a load, corrected for coordinated omission if it has no pace."""
    if workload.paced:
        return report.latencies
    return report.latencies.corrected(workload.think)


def _sum(parts: list[LoadReport]) -> LoadReport:
    latencies = Latencies()
    for each in parts:
        latencies.add(each.latencies)
    return LoadReport(
        requests=sum(each.requests for each in parts),
        errors=sum(each.errors for each in parts),
        resent=sum(each.resent for each in parts),
        seconds=max(each.seconds for each in parts),
        rate=sum(each.rate for each in parts),
        cpu=sum(each.cpu for each in parts),
        latencies=latencies,
    )
