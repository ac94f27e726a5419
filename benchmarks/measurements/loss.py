"""Which clients are lost with `reuseport` when a worker exits while clients wait at its listener.

Each worker has a listener of its own, and the kernel has already put the waiting clients into the
queues of these listeners. All workers are busy behind a gate, so the waiting clients can be counted
before anything happens. Then one worker is killed, or the pool is reduced to one worker, and the
gate is opened. Clients that a worker already holds are counted apart: a kill loses one of them.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO

from benchmarks.harness.competitors import RunningServer, ServerFailed
from benchmarks.harness.probe import DEADLINE, fault_server, wait_for_workers
from benchmarks.harness.progress import bar
from benchmarks.harness.python_clients import connect
from benchmarks.harness.rounds import Plan
from benchmarks.report.finding import Finding
from benchmarks.report.goals import Goal
from benchmarks.report.tables import listing

WORKERS = 4
QUEUED = 200
PLAN = Plan(rounds=5, seconds=0, clients=QUEUED)


def kill_one(server: RunningServer, worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def reduce_to_one(server: RunningServer, worker: int) -> None:
    os.kill(server.pid, signal.SIGUSR1)


EVENTS: dict[str, Callable[[RunningServer, int], None]] = {
    "a worker is killed": kill_one,
    f"{WORKERS} workers become 1": reduce_to_one,
}


@dataclass(frozen=True)
class LossRound:
    """What happened to the clients of one round."""

    queued: int
    answered: int
    """The number of queued clients that were answered."""
    held: int
    """Clients that a worker held at the moment of the event."""
    finished: int
    """The number of held clients whose answer was complete."""


def measure(plan: Plan = PLAN) -> Finding:
    rounds: dict[str, list[LossRound]] = {}
    for event, act in EVENTS.items():
        with bar.part(1 / len(EVENTS)):
            rounds[event] = []
            for number in range(plan.rounds):
                rounds[event].append(one_round(act))
                bar.at((number + 1) / plan.rounds)
    return Finding(
        question=f"what becomes of {QUEUED} waiting clients, {WORKERS} workers, strategy "
        f"reuseport, {plan.rounds} rounds.",
        rounds={},
        table=listing(
            ("event", "answered", "of", "held", "finished"),
            (
                (
                    event,
                    str(sum(one.answered for one in series)),
                    str(sum(one.queued for one in series)),
                    str(sum(one.held for one in series)),
                    str(sum(one.finished for one in series)),
                )
                for event, series in rounds.items()
            ),
            "All rounds together. Held: clients that a worker had at the moment of the event.",
        ),
        goals=[
            Goal(
                f"{event}: {{}} of {QUEUED} answered in the worst round",
                min(one.answered for one in series),
                at_least=QUEUED,
            )
            for event, series in rounds.items()
        ],
        figures={event: [vars(one) for one in series] for event, series in rounds.items()},
    )


def one_round(act: Callable[[RunningServer, int], None]) -> LossRound:
    """Start a server, make its workers busy, queue `QUEUED` clients behind them, and act."""
    with ExitStack() as stack:
        gate = stack.enter_context(closed_gate())
        settings = {"strategy": "reuseport"}
        pool = fault_server("gated", WORKERS, name="reuseport", settings=settings, gate=gate.name)
        server = stack.enter_context(RunningServer(pool))
        wait_for_workers(server, WORKERS)
        clients = [stack.enter_context(connect(server.port)) for _ in range(QUEUED + WORKERS)]
        held = holders(clients, WORKERS)
        act(server, next(iter(held.values())))
        time.sleep(0.2)  # for the master to notice; nothing announces that it has
        fcntl.flock(gate, fcntl.LOCK_UN)
        answers = {client: read_to_end(client) for client in clients}
    served = {client for client, answer in answers.items() if answer.endswith(b"served\n")}
    return LossRound(
        queued=len(clients) - len(held),
        answered=len(served - held.keys()),
        held=len(held),
        finished=len(served & held.keys()),
    )


@contextmanager
def closed_gate() -> Iterator[IO[bytes]]:
    """Yield a locked file."""
    with tempfile.NamedTemporaryFile() as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield gate


def holders(clients: list[socket.socket], count: int) -> dict[socket.socket, int]:
    """Wait until `count` workers each hold a client, and return the worker of each such client.

    Errors: `ServerFailed` if no further worker has a client within `DEADLINE` seconds.
    """
    held: dict[socket.socket, int] = {}
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while len(held) < count:
            ready = selector.select(DEADLINE)
            if not ready:
                raise ServerFailed(f"Only {len(held)} of {count} workers have a client.")
            for key, _ in ready:
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                held[key.fileobj] = int(key.fileobj.recv(64))
    return held


def read_to_end(client: socket.socket) -> bytes:
    """Return the rest of an answer, or the part received before the connection was lost."""
    answer = b""
    try:
        while more := client.recv(64):
            answer += more
    except (ConnectionError, TimeoutError):
        pass
    return answer
