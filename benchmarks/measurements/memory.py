"""The memory of a pool whose workers need a large object graph, by where the graph is built.

Each worker builds its own graph, or inherits the master's, or inherits that of another worker,
which built it while it served and then became the mold of all others. The figure is the PSS of the
master and all its descendants, in which a shared page counts once. Each client holds one worker
with an open connection, so every worker has touched its part of the graph when the pool is
measured; parts of growing size are touched one after the other.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.competitors import Competitor, RunningServer, ServerFailed
from benchmarks.harness.probe import DEADLINE, fault_server, pool_memory
from benchmarks.harness.progress import bar
from benchmarks.harness.python_clients import connect
from benchmarks.harness.rounds import Plan
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import listing

MEGABYTES = 150
SIZES = (2, 4, 8, 16)
TOUCHED = (5, 50, 100)
LEAST_PERCENT_SAVED = 60.0
SIZE_OF_GOAL, TOUCHED_OF_GOAL = 4, 5
PLAN = Plan(rounds=1, seconds=0, clients=max(SIZES))
OWN, PRELOADED, REFORKED = "a graph in each worker", "preloaded in the master", "reforked"
REFORK = {"fork_from": "mold", "refork_after": 50, "max_unavailable": 2, "idle_order": "lifo"}
"""`lifo`, so that not every worker has built a graph before the first becomes a mold."""
LOADERS = 4
"""Clients that send requests all the time while a pool reforks."""
PAUSE = 0.2
"""Seconds between two checks of whether a pool has reforked. Clients are served in between."""

PoolSizes = dict[int, dict[int, float]]
"""Megabytes of a pool, by the number of workers and the percentage that is touched."""


@dataclass
class RequestCounts:
    """The requests that were sent while pools reforked."""

    answered: int = 0
    lost: int = 0


@dataclass(frozen=True)
class HeldWorker:
    """A worker that a connection holds."""

    connection: socket.socket

    def touch(self, percent: float, how: str) -> None:
        """Tell it to touch a part of its graph that is located `together`, or `apart`."""
        self.connection.sendall(f"{percent} {how}\n".encode())

    def answer(self) -> tuple[int, int]:
        """Wait until it has done so; return its process ID and that of the graph's builder."""
        received = b""
        while not received.endswith(b"\n"):
            if not (more := self.connection.recv(64)):
                raise ConnectionError("A worker closed the connection that holds it.")
            received += more
        pid, builder = map(int, received.split())
        return pid, builder


def measure(plan: Plan = PLAN) -> Finding:
    counts = RequestCounts()
    ways: dict[str, Callable[[int], AbstractContextManager[RunningServer]]] = {
        OWN: lambda size: RunningServer(pool(size, "start")),
        PRELOADED: lambda size: RunningServer(pool(size, "master")),
        REFORKED: lambda size: reforked(size, counts),
    }
    weights: dict[str, PoolSizes] = {way: {} for way in ways}
    for way, running in ways.items():
        for size in SIZES:
            with bar.part(1 / len(ways) / len(SIZES)):
                bar.at(0, f"memory: {size} workers, {way}")
                with running(size) as server, holding(server, size) as workers:
                    weights[way][size] = {
                        percent: megabytes_of(server, workers, percent) for percent in TOUCHED
                    }
    apart = megabytes_apart()
    together = weights[PRELOADED][SIZE_OF_GOAL][TOUCHED_OF_GOAL]
    return Finding(
        question=f"PSS of master and workers with {MEGABYTES} MB of small objects.",
        rounds={},
        table=listing(
            ("objects, workers", *(f"MB, {percent} % touched" for percent in TOUCHED)),
            (
                (f"{way}, {size}", *(f"{megabytes:,.0f}" for megabytes in by_part.values()))
                for way, by_size in weights.items()
                for size, by_part in by_size.items()
            ),
        ),
        goals=goals(weights, counts),
        remarks=[
            f"The touched objects lie together. If {TOUCHED_OF_GOAL} % are touched that lie apart, "
            f"{SIZE_OF_GOAL} workers with objects {PRELOADED} take {apart:,.0f} MB instead of "
            f"{together:,.0f}."
        ],
        figures={"pss_mb": weights, "apart_mb": apart, "requests": vars(counts)},
    )


def goals(weights: dict[str, PoolSizes], counts: RequestCounts) -> list[Goal]:
    own, reforked = (weights[way][SIZE_OF_GOAL][TOUCHED_OF_GOAL] for way in (OWN, REFORKED))
    return [
        Goal(
            f"{SIZE_OF_GOAL} reforked workers take {{:.0f}} % less than with a graph each, touched "
            f"at {TOUCHED_OF_GOAL} %",
            100 * (1 - reforked / own),
            at_least=LEAST_PERCENT_SAVED,
        ),
        Goal(
            f"{{}} of {counts.answered + counts.lost} requests lost while reforking",
            counts.lost,
            at_most=0,
        ),
    ]


def pool(size: int, built: str, settings: dict[str, Any] | None = None) -> Competitor:
    return fault_server(
        "weighed",
        size,
        name=f"{size} workers, built by {built}",
        settings=settings,
        graph=MEGABYTES,
        built=built,
    )


@contextmanager
def holding(server: RunningServer, size: int) -> Iterator[list[HeldWorker]]:
    """Yield all workers, each held by a connection."""
    workers: list[HeldWorker] = []
    try:
        for _ in range(size):
            workers.append(HeldWorker(connect(server.port)))
            workers[-1].touch(0, "together")
        for worker in workers:
            worker.answer()
        yield workers
    finally:
        for worker in workers:
            worker.connection.close()


def megabytes_of(
    server: RunningServer, workers: list[HeldWorker], percent: float, how: str = "together"
) -> float:
    """Have all workers touch a part, and return the megabytes of the whole pool."""
    for worker in workers:
        worker.touch(percent, how)
    for worker in workers:
        worker.answer()
    return round(pool_memory(server) / 1e6, 1)


def megabytes_apart() -> float:
    with (
        RunningServer(pool(SIZE_OF_GOAL, "master")) as server,
        holding(server, SIZE_OF_GOAL) as workers,
    ):
        return megabytes_of(server, workers, TOUCHED_OF_GOAL, "apart")


@contextmanager
def reforked(size: int, counts: RequestCounts) -> Iterator[RunningServer]:
    """Yield a pool that was under load until each worker had inherited another's graph.

    Errors: `ServerFailed` if that takes longer than `DEADLINE` seconds.
    """
    with RunningServer(pool(size, "request", REFORK)) as server:
        deadline = time.monotonic() + DEADLINE
        with loading(server, counts):
            while not all_have_inherited(server, size):
                if time.monotonic() > deadline:
                    raise ServerFailed(f"A pool of {size} did not refork within {DEADLINE:.0f} s.")
                time.sleep(PAUSE)
        yield server


def all_have_inherited(server: RunningServer, size: int) -> bool:
    with holding(server, size) as workers:
        for worker in workers:
            worker.touch(0, "together")
        answers = [worker.answer() for worker in workers]
    return all(pid != builder for pid, builder in answers)


@contextmanager
def loading(server: RunningServer, counts: RequestCounts) -> Iterator[None]:
    """Send requests from several clients during the block, each request on its own connection."""
    ended = threading.Event()
    lock = threading.Lock()

    def send_requests() -> None:
        while not ended.is_set():
            try:
                client = HeldWorker(connect(server.port))
                with client.connection:
                    client.touch(0, "together")
                    client.answer()
            except (OSError, ValueError):
                with lock:
                    counts.lost += 1
            else:
                with lock:
                    counts.answered += 1

    threads = [threading.Thread(target=send_requests) for _ in range(LOADERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
