"""What a pool weighs whose workers need a large warm graph of objects, by how it comes to them.

Each worker builds its own, or inherits the master's, or that of a worker which has built it while
it served and from which the others are then forked. Weighed is the PSS of the master and of all
processes below it, in which a shared page counts once. Each client holds one worker with a
connection that stays open, so that every worker has touched its part when the pool is weighed;
growing parts are touched one after the other.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.clients import connect
from benchmarks.contenders import Contender, Running, ServerFailed
from benchmarks.output import Outcome, Target
from benchmarks.processes import pss
from benchmarks.progress import bar
from benchmarks.rounds import Plan
from benchmarks.tables import listing
from benchmarks.watched import DEADLINE, watched
from prefork.loadtest.process_tree import tree

MEGABYTES = 150
SIZES = (2, 4, 8, 16)
TOUCHED = (5, 50, 100)
LEAST_PERCENT_SAVED = 60.0
SIZE_OF_TARGET, TOUCHED_OF_TARGET = 4, 5
PLAN = Plan(rounds=1, seconds=0, clients=max(SIZES))
OWN, PRELOADED, REFORKED = "a graph in each worker", "preloaded in the master", "reforked"
REFORK = {"fork_from": "mold", "refork_after": 50, "max_unavailable": 2, "idle_order": "lifo"}
"""`lifo`, so that not every worker builds a graph of its own before the first is a mold."""
LOADERS = 4
"""Clients that ask all the time while a pool reforks."""
PAUSE = 0.2
"""Seconds between two looks at whether it has; meanwhile the clients are served."""

Weights = dict[int, dict[int, float]]
"""Megabytes, by the number of workers and by the percentage that is touched."""


@dataclass
class Load:
    """What came of the requests while pools reforked."""

    answered: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Held:
    """A worker, held by a connection to it."""

    connection: socket.socket

    def touch(self, percent: float, how: str) -> None:
        """Have it touch its graph: so much that lies `together`, or `apart`."""
        self.connection.sendall(f"{percent} {how}\n".encode())

    def answer(self) -> tuple[int, int]:
        """When it has: its pid, and the pid of who has built its graph."""
        said = b""
        while not said.endswith(b"\n"):
            if not (more := self.connection.recv(64)):
                raise ConnectionError("A worker has closed the connection that holds it.")
            said += more
        pid, builder = map(int, said.split())
        return pid, builder


def measure(plan: Plan = PLAN) -> Outcome:
    load = Load()
    ways: dict[str, Callable[[int], AbstractContextManager[Running]]] = {
        OWN: lambda size: Running(pool(size, "start")),
        PRELOADED: lambda size: Running(pool(size, "master")),
        REFORKED: lambda size: reforked(size, load),
    }
    weights: dict[str, Weights] = {way: {} for way in ways}
    for way, running in ways.items():
        for size in SIZES:
            with bar.part(1 / len(ways) / len(SIZES)):
                bar.at(0, f"memory: {size} workers, {way}")
                with running(size) as server, holding(server, size) as workers:
                    weights[way][size] = {
                        percent: weighed(server, workers, percent) for percent in TOUCHED
                    }
    apart = weight_apart()
    together = weights[PRELOADED][SIZE_OF_TARGET][TOUCHED_OF_TARGET]
    return Outcome(
        question=f"PSS of master and workers with a graph of {MEGABYTES} MB of small objects.",
        rounds={},
        table=listing(
            ("way, workers", *(f"MB, {percent} % touched" for percent in TOUCHED)),
            (
                (f"{way}, {size}", *(f"{megabytes:,.0f}" for megabytes in by_part.values()))
                for way, by_size in weights.items()
                for size, by_part in by_size.items()
            ),
        ),
        targets=targets(weights, load),
        remarks=[
            f"What is touched lies together. With {TOUCHED_OF_TARGET} % of the objects here and "
            f"there, {SIZE_OF_TARGET} workers weigh {apart:,.0f} MB {PRELOADED}, instead of "
            f"{together:,.0f}."
        ],
        figures={"pss_mb": weights, "apart_mb": apart, "load": vars(load)},
    )


def targets(weights: dict[str, Weights], load: Load) -> list[Target]:
    own, reforked = (weights[way][SIZE_OF_TARGET][TOUCHED_OF_TARGET] for way in (OWN, REFORKED))
    return [
        Target(
            f"{SIZE_OF_TARGET} workers that are reforked weigh {{:.0f}} % less than with a graph "
            f"each, touched at {TOUCHED_OF_TARGET} %",
            100 * (1 - reforked / own),
            at_least=LEAST_PERCENT_SAVED,
        ),
        Target(
            f"{{}} of {load.answered + load.lost} requests lost while reforking",
            load.lost,
            at_most=0,
        ),
    ]


def pool(size: int, built: str, settings: dict[str, Any] | None = None) -> Contender:
    return watched(
        "weighed",
        size,
        name=f"{size} workers, built by {built}",
        settings=settings,
        graph=MEGABYTES,
        built=built,
    )


@contextmanager
def holding(server: Running, size: int) -> Iterator[list[Held]]:
    """All workers, each held by a connection."""
    workers: list[Held] = []
    try:
        for _ in range(size):
            workers.append(Held(connect(server.port)))
            workers[-1].touch(0, "together")
        for worker in workers:
            worker.answer()
        yield workers
    finally:
        for worker in workers:
            worker.connection.close()


def weighed(server: Running, workers: list[Held], percent: float, how: str = "together") -> float:
    """Have all workers touch so much; megabytes of the whole pool."""
    for worker in workers:
        worker.touch(percent, how)
    for worker in workers:
        worker.answer()
    return round(sum(map(pss, tree(server.pid))) / 1e6, 1)


def weight_apart() -> float:
    size = SIZE_OF_TARGET
    with Running(pool(size, "master")) as server, holding(server, size) as workers:
        return weighed(server, workers, TOUCHED_OF_TARGET, "apart")


@contextmanager
def reforked(size: int, load: Load) -> Iterator[Running]:
    """A pool that is under load until each worker has inherited the graph of another."""
    with Running(pool(size, "request", REFORK)) as server:
        deadline = time.monotonic() + DEADLINE
        with loading(server, load):
            while not all_have_inherited(server, size):
                if time.monotonic() > deadline:
                    raise ServerFailed(f"A pool of {size} did not refork within {DEADLINE:.0f} s.")
                time.sleep(PAUSE)
        yield server


def all_have_inherited(server: Running, size: int) -> bool:
    with holding(server, size) as workers:
        for worker in workers:
            worker.touch(0, "together")
        answers = [worker.answer() for worker in workers]
    return all(pid != builder for pid, builder in answers)


@contextmanager
def loading(server: Running, load: Load) -> Iterator[None]:
    """Clients that ask all the time, with a connection for each request."""
    over = threading.Event()
    count = threading.Lock()

    def ask_all_the_time() -> None:
        while not over.is_set():
            try:
                client = Held(connect(server.port))
                with client.connection:
                    client.touch(0, "together")
                    client.answer()
            except (OSError, ValueError):
                with count:
                    load.lost += 1
            else:
                with count:
                    load.answered += 1

    threads = [threading.Thread(target=ask_all_the_time) for _ in range(LOADERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
